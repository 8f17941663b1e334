package x1

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// The namespaces of a message.
const (
	nsX1     = "http://uri.etsi.org/03221/X1/2017/10"
	nsXSI    = "http://www.w3.org/2001/XMLSchema-instance"
	nsLigate = "urn:ligate:x1:2026"
	ns280    = "http://uri.etsi.org/03280/common/2017/07"
)

// Limits of what is read.
const (
	MaxRequestBytes  = 256 << 10 // one X1Request
	MaxResponseBytes = 32 << 20  // one X1Response: about 40 000 tasks
	maxDepth         = 16
)

// node is one element. Comments are gone, text is joined.
type node struct {
	name  xml.Name
	typ   xml.Name // resolved xsi:type; zero = none
	extra bool     // has attributes that the schema does not know
	kids  []*node
	text  string
}

// parseTree reads a whole document into its root. Anything that X1 has no use for
// (document types, processing instructions, other encodings than UTF-8) is refused.
func parseTree(b []byte) (*node, error) {
	if !utf8.Valid(b) {
		return nil, ErrSyntax
	}
	dec := xml.NewDecoder(bytes.NewReader(b))
	p := treeParser{}
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, ErrSyntax // the library's errors quote the input
		}
		if !p.take(tok) {
			return nil, ErrSyntax
		}
	}
	if p.root == nil || len(p.open) > 0 {
		return nil, ErrSyntax
	}
	return p.root, nil
}

type treeParser struct {
	root  *node
	open  []frame
	begun bool // anything was read before
}

type frame struct {
	n        *node
	bindings map[string]string // prefixes bound by this element; nil = none
	text     []byte
}

// take adds one token and reports whether it may stand there.
func (p *treeParser) take(tok xml.Token) bool {
	first := !p.begun
	p.begun = true
	switch t := tok.(type) {
	case xml.StartElement:
		return p.start(t)
	case xml.EndElement:
		top := &p.open[len(p.open)-1]
		top.n.text = string(top.text)
		p.open = p.open[:len(p.open)-1]
		return true
	case xml.CharData:
		if len(p.open) == 0 {
			return blank(string(t))
		}
		top := &p.open[len(p.open)-1]
		top.text = append(top.text, t...)
		return true
	case xml.Comment:
		return true
	case xml.ProcInst:
		return first && t.Target == "xml"
	}
	return false // xml.Directive, such as DOCTYPE
}

func (p *treeParser) start(t xml.StartElement) bool {
	if len(p.open) >= maxDepth || len(p.open) == 0 && p.root != nil {
		return false
	}
	n := &node{name: t.Name}
	if len(p.open) == 0 {
		p.root = n
	} else {
		parent := p.open[len(p.open)-1].n
		parent.kids = append(parent.kids, n)
	}
	p.open = append(p.open, frame{n: n, bindings: bindings(t.Attr)})
	if len(t.Attr) == 0 {
		return true // most elements: an answer about ten thousand Tasks has 200 000
	}
	seen := make(map[xml.Name]bool, len(t.Attr))
	for _, a := range t.Attr {
		if seen[a.Name] {
			return false
		}
		seen[a.Name] = true
		switch {
		case a.Name.Space == "xmlns", a.Name == xml.Name{Local: "xmlns"}:
		case a.Name == xml.Name{Space: nsXSI, Local: "schemaLocation"}:
		case a.Name == xml.Name{Space: nsXSI, Local: "type"}:
			typ, ok := p.qname(a.Value)
			if !ok {
				return false
			}
			n.typ = typ
		default:
			n.extra = true
		}
	}
	return true
}

func bindings(attrs []xml.Attr) map[string]string {
	var m map[string]string
	for _, a := range attrs {
		prefix := a.Name.Local
		switch {
		case a.Name.Space == "xmlns":
		case a.Name == xml.Name{Local: "xmlns"}:
			prefix = ""
		default:
			continue
		}
		if m == nil {
			m = map[string]string{}
		}
		m[prefix] = a.Value
	}
	return m
}

// qname resolves a QName in content, which encoding/xml leaves to its user.
func (p *treeParser) qname(s string) (xml.Name, bool) {
	prefix, local, found := strings.Cut(strings.TrimSpace(s), ":")
	if !found {
		prefix, local = "", prefix
	}
	for i := len(p.open) - 1; i >= 0; i-- {
		if uri, ok := p.open[i].bindings[prefix]; ok {
			return xml.Name{Space: uri, Local: local}, local != ""
		}
	}
	return xml.Name{Local: local}, prefix == "" && local != ""
}

func blank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }

// seq reads the children of an element in the schema's order. After the first
// fault it stays bad and gives zero values.
type seq struct {
	kids []*node
	bad  bool
}

// sequence starts reading n, which must be an element without text of its own.
func sequence(n *node) *seq {
	if n == nil || n.extra || !blank(n.text) {
		return &seq{bad: true}
	}
	return &seq{kids: n.kids}
}

// opt takes the next element if it is named so.
func (s *seq) opt(name string) *node {
	if s.bad || len(s.kids) == 0 || s.kids[0].name != (xml.Name{Space: nsX1, Local: name}) {
		return nil
	}
	n := s.kids[0]
	s.kids = s.kids[1:]
	return n
}

// want takes the next element, which must be named so.
func (s *seq) want(name string) *node {
	n := s.opt(name)
	if n == nil {
		s.bad = true
	}
	return n
}

// text takes the next element and returns its text, trimmed.
func (s *seq) text(name string) string {
	n := s.want(name)
	if n == nil {
		return ""
	}
	if !n.leaf() {
		s.bad = true
		return ""
	}
	return n.trimmed()
}

// done reports whether all was read and nothing was wrong.
func (s *seq) done() bool { return !s.bad && len(s.kids) == 0 }

func (n *node) leaf() bool { return len(n.kids) == 0 && !n.extra }

func (n *node) trimmed() string { return strings.Trim(n.text, " \t\r\n") }
