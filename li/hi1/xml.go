package hi1

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// parseXML reads a whole document into its root.
func parseXML(b []byte) (*node, *Fault) {
	if !utf8.Valid(b) {
		return nil, &Fault{Reason: "not UTF-8"}
	}
	dec := xml.NewDecoder(bytes.NewReader(b))
	p := xmlParser{}
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, &Fault{Offset: dec.InputOffset(), Reason: "not well-formed XML, or an entity that is not predefined"}
		}
		if reason := p.take(tok, dec.InputOffset()); reason != "" {
			return nil, &Fault{Offset: dec.InputOffset(), Reason: reason}
		}
	}
	if p.root == nil {
		return nil, &Fault{Reason: "not an XML document"}
	}
	return p.root, nil
}

type xmlParser struct {
	tree
	root  *node
	open  []frame
	begun bool
}

type frame struct {
	n        *node
	bindings map[string]string // prefixes bound by this element; nil = none
	text     []byte
}

// take adds one token; a reason means that it may not stand there.
func (p *xmlParser) take(tok xml.Token, at int64) (reason string) {
	first := !p.begun
	p.begun = true
	switch t := tok.(type) {
	case xml.StartElement:
		return p.start(t, at)
	case xml.EndElement:
		return p.end()
	case xml.CharData:
		if len(p.open) > 0 {
			top := &p.open[len(p.open)-1]
			top.text = append(top.text, t...)
		} else if !blank(string(t)) {
			return "text outside the root element"
		}
		return ""
	case xml.Comment:
		return ""
	case xml.ProcInst:
		if first && t.Target == "xml" {
			return ""
		}
		return "processing instructions are not accepted"
	}
	return "document type declarations are not accepted"
}

func (p *xmlParser) end() string {
	top := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	top.n.text = string(top.text)
	if len(top.n.kids) > 0 {
		top.n.form = formObject
		if !blank(top.n.text) {
			return "text between elements"
		}
	}
	return ""
}

func (p *xmlParser) start(t xml.StartElement, at int64) string {
	if len(p.open) == 0 && p.root != nil {
		return "a second root element"
	}
	if !p.grow(len(p.open)) {
		return "too deep, or too many elements"
	}
	n := &node{name: t.Name, at: at}
	if len(p.open) == 0 {
		p.root = n
	} else {
		parent := p.open[len(p.open)-1].n
		parent.kids = append(parent.kids, n)
	}
	p.open = append(p.open, frame{n: n, bindings: bindings(t.Attr)})
	return p.attributes(n, t.Attr)
}

func (p *xmlParser) attributes(n *node, attrs []xml.Attr) string {
	seen := make(map[xml.Name]bool, len(attrs))
	for _, a := range attrs {
		if seen[a.Name] {
			return "an attribute stands twice"
		}
		seen[a.Name] = true
		switch {
		case a.Name.Space == "xmlns", a.Name == xml.Name{Local: "xmlns"}:
		case a.Name == xml.Name{Space: nsXSI, Local: "schemaLocation"}: // never fetched
		case a.Name == xml.Name{Space: nsXSI, Local: "type"}:
			typ, ok := p.qname(a.Value)
			if !ok {
				return "xsi:type with a prefix that is not declared"
			}
			n.typ = typ
		default:
			return "an attribute that the schema does not know"
		}
	}
	return ""
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
func (p *xmlParser) qname(s string) (xml.Name, bool) {
	prefix, local, found := strings.Cut(trim(s), ":")
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

// printXML writes the document of a root that this package built.
func printXML(root *node) []byte {
	w := &xmlPrinter{prefixes: map[string]string{nsCore: ""}}
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	declared := ` xmlns="` + nsCore + `"`
	for _, p := range prefixed() {
		w.prefixes[p[1]] = p[0] + ":"
		declared += ` xmlns:` + p[0] + `="` + p[1] + `"`
	}
	w.element(root, declared)
	w.WriteString("\n")
	return w.Bytes()
}

type xmlPrinter struct {
	bytes.Buffer
	prefixes map[string]string // by namespace, with colon
}

func (w *xmlPrinter) element(n *node, attributes string) {
	name := w.prefixes[n.name.Space] + n.name.Local
	w.WriteString("<" + name + attributes)
	if n.typ.Local != "" {
		w.WriteString(` xsi:type="` + w.prefixes[n.typ.Space] + n.typ.Local + `"`)
	}
	w.WriteString(">")
	_ = xml.EscapeText(w, []byte(n.text)) // a bytes.Buffer takes all
	for _, kid := range n.kids {
		w.element(kid, "")
	}
	w.WriteString("</" + name + ">")
}
