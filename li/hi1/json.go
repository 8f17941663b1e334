package hi1

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// The JSON form (TS 103 120 as of V1.14): members are named as elements, with the
// prefix that "@xmlns:…" of the root declares; "@xsi:type" holds {namespace}Type;
// what may stand several times is an array.
const (
	memberXMLNS = "@xmlns"
	memberType  = "@xsi:type"
)

func parseJSON(b []byte) (*node, *Fault) {
	if !utf8.Valid(b) {
		return nil, &Fault{Reason: "not UTF-8"}
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	p := &jsonParser{dec: dec, namespaces: map[string]string{}}
	root := &node{name: xml.Name{Space: nsCore, Local: "HI1Message"}, form: formObject}
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, p.fault("not a JSON object")
	}
	if f := p.object(root, 0); f != nil {
		return nil, f
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, p.fault("something follows the JSON object")
	}
	if f := p.resolve(root); f != nil {
		return nil, f
	}
	return root, nil
}

type jsonParser struct {
	tree
	dec        *json.Decoder
	namespaces map[string]string // by prefix, of the root
}

func (p *jsonParser) fault(reason string) *Fault {
	return &Fault{Offset: p.dec.InputOffset(), Reason: reason}
}

// object reads the members of n up to the closing brace.
func (p *jsonParser) object(n *node, depth int) *Fault {
	seen := map[string]bool{}
	for {
		tok, err := p.dec.Token()
		if err != nil {
			return p.fault("not well-formed JSON")
		}
		name, isName := tok.(string)
		if !isName {
			return nil // the closing brace: the decoder lets nothing else stand here
		}
		if seen[name] {
			return p.fault("a member stands twice")
		}
		seen[name] = true
		if strings.HasPrefix(name, "@") {
			if f := p.attribute(n, name, depth); f != nil {
				return f
			}
			continue
		}
		if f := p.member(n, name, depth); f != nil {
			return f
		}
	}
}

func (p *jsonParser) attribute(n *node, name string, depth int) *Fault {
	tok, err := p.dec.Token()
	value, isText := tok.(string)
	if err != nil || !isText {
		return p.fault("a member with @ wants a string")
	}
	prefix, isPrefix := strings.CutPrefix(name, memberXMLNS+":")
	switch {
	case name == memberType && n.typ.Local == "":
		space, local, found := strings.Cut(strings.TrimPrefix(value, "{"), "}")
		if !found || !strings.HasPrefix(value, "{") || local == "" {
			return p.fault("@xsi:type: want {namespace}Type")
		}
		n.typ = xml.Name{Space: space, Local: local}
		return nil
	case depth > 0 || name != memberXMLNS && !isPrefix:
		return p.fault("a member with @ that is not known here")
	}
	if !isPrefix {
		prefix = ""
	}
	if _, twice := p.namespaces[prefix]; twice {
		return p.fault("a prefix is declared twice")
	}
	p.namespaces[prefix] = value
	return nil
}

// member reads one value or an array of them.
func (p *jsonParser) member(n *node, name string, depth int) *Fault {
	tok, err := p.dec.Token()
	if err != nil {
		return p.fault("not well-formed JSON")
	}
	if tok != json.Delim('[') {
		return p.value(n, name, tok, false, depth)
	}
	for count := 0; ; count++ {
		tok, err := p.dec.Token()
		switch {
		case err != nil:
			return p.fault("not well-formed JSON")
		case tok == json.Delim(']') && count == 0:
			return p.fault("an empty array: leave the member out")
		case tok == json.Delim(']'):
			return nil
		}
		if f := p.value(n, name, tok, true, depth); f != nil {
			return f
		}
	}
}

func (p *jsonParser) value(n *node, name string, tok json.Token, item bool, depth int) *Fault {
	if !p.grow(depth + 1) {
		return p.fault("too deep, or too many members")
	}
	kid := &node{name: xml.Name{Local: name}, item: item, at: p.dec.InputOffset()}
	n.kids = append(n.kids, kid)
	switch v := tok.(type) {
	case string:
		kid.text = v
	case json.Number:
		kid.form, kid.text = formNumber, v.String()
	case bool:
		kid.form, kid.text = formBool, map[bool]string{true: "true", false: "false"}[v]
	case json.Delim:
		if v != '{' {
			return p.fault("an array in an array")
		}
		kid.form = formObject
		return p.object(kid, depth+1)
	default:
		return p.fault("null: leave the member out")
	}
	return nil
}

// resolve gives the members below n their namespaces, once all are declared.
func (p *jsonParser) resolve(n *node) *Fault {
	for _, kid := range n.kids {
		prefix, local, found := strings.Cut(kid.name.Local, ":")
		if !found {
			prefix, local = "", prefix
		}
		space, ok := p.namespaces[prefix]
		if !ok {
			return &Fault{Offset: kid.at, Reason: "a member whose prefix the root does not declare as @xmlns:…, or no @xmlns"}
		}
		kid.name = xml.Name{Space: space, Local: local}
		if f := p.resolve(kid); f != nil {
			return f
		}
	}
	return nil
}

// printJSON writes the document of a root that this package built.
func printJSON(root *node) []byte {
	w := &jsonPrinter{prefixes: map[string]string{nsCore: ""}}
	w.WriteString("{")
	w.text(memberXMLNS)
	w.WriteString(":")
	w.text(nsCore)
	for _, p := range prefixed() {
		w.prefixes[p[1]] = p[0] + ":"
		w.WriteString(",")
		w.text(memberXMLNS + ":" + p[0])
		w.WriteString(":")
		w.text(p[1])
	}
	w.members(root, true)
	w.WriteString("}\n")
	return w.Bytes()
}

type jsonPrinter struct {
	bytes.Buffer
	prefixes map[string]string // by namespace, with colon
}

func (w *jsonPrinter) text(s string) {
	b, _ := json.Marshal(s) // a string always can
	w.Write(b)
}

// members writes the children of n; more says that something stands before them.
func (w *jsonPrinter) members(n *node, more bool) {
	comma := func() {
		if more {
			w.WriteString(",")
		}
		more = true
	}
	for i := 0; i < len(n.kids); i++ {
		kid := n.kids[i]
		comma()
		w.text(w.prefixes[kid.name.Space] + kid.name.Local)
		w.WriteString(":")
		if !kid.item {
			w.value(kid)
			continue
		}
		w.WriteString("[")
		w.value(kid)
		for ; i+1 < len(n.kids) && n.kids[i+1].item && n.kids[i+1].name == kid.name; i++ {
			w.WriteString(",")
			w.value(n.kids[i+1])
		}
		w.WriteString("]")
	}
}

func (w *jsonPrinter) value(n *node) {
	switch n.form {
	case formNumber, formBool:
		w.WriteString(n.text)
	case formText:
		w.text(n.text)
	case formObject:
		w.WriteString("{")
		if n.typ.Local != "" {
			w.text(memberType)
			w.WriteString(":")
			w.text("{" + n.typ.Space + "}" + n.typ.Local)
		}
		w.members(n, n.typ.Local != "")
		w.WriteString("}")
	}
}
