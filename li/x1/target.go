package x1

import (
	"strings"

	"github.com/ligate/ligate/li"
)

// writeTarget writes one TargetIdentifier.
func (w *writer) writeTarget(id li.Identity) error {
	element, text, ok := targetText(id)
	if !ok {
		return ErrTask
	}
	w.el("targetIdentifier", func() { w.text(element, text) })
	return nil
}

// targetText chooses the element for an identity. A SIP URI that xs:anyURI would
// refuse (an IPv6 reference, a stray percent sign) travels as impu, which takes any
// of the characters; other characters are escaped. Not ok when whoever reads it
// would come to another identity: the tap would be another one.
func targetText(id li.Identity) (element, text string, ok bool) {
	switch id.Kind() {
	case li.E164:
		element, text = "e164Number", id.Reveal()
	case li.SIPURI:
		element, text = "sipUri", escapeURI(id.Reveal())
		if !plainURI(text) {
			element = "impu"
		}
	default:
		return "", "", false
	}
	back, ok := identityOf(element, text)
	return element, text, ok && back == id
}

// readTarget reads one TargetIdentifier, of which exactly one choice must be there.
func readTarget(n *node) (id li.Identity, ok bool) {
	if n.extra || len(n.kids) != 1 || !blank(n.text) || n.kids[0].name.Space != nsX1 || !n.kids[0].leaf() {
		return li.Identity{}, false
	}
	if id, ok = identityOf(n.kids[0].name.Local, n.kids[0].trimmed()); !ok {
		return li.Identity{}, false
	}
	// What we could not write again, GetAllDetails could not show to the ADMF.
	_, _, ok = targetText(id)
	return id, ok
}

// identityOf turns the choices that we can honour into an identity. The number
// plan is the empty one: only what is valid worldwide is taken.
func identityOf(element, text string) (li.Identity, bool) {
	schemes := []string{}
	switch element {
	case "e164Number":
		if !digits(text) {
			return li.Identity{}, false
		}
		text = "+" + text
	case "sipUri":
		schemes = []string{"sip:", "sips:"}
	case "telUri":
		schemes = []string{"tel:"}
	case "impu":
		schemes = []string{"sip:", "sips:", "tel:"}
	default:
		return li.Identity{}, false
	}
	if len(schemes) > 0 && !hasAnyPrefix(text, schemes) {
		return li.Identity{}, false
	}
	id, err := li.NumberPlan{}.ParseTarget(text)
	return id, err == nil
}

func hasAnyPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) {
			return true
		}
	}
	return false
}

// uriCharacters are those that the patterns SIPURI and IMPU of TS 103 280 allow
// beside letters and digits.
const uriCharacters = "!#$&'()*+,-./:;=?@[]_~%"

func escapeURI(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; alphanumeric(c) || strings.IndexByte(uriCharacters, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// plainURI reports whether xs:anyURI takes s.
func plainURI(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[', ']', '#':
			return false
		case '%':
			if i+2 >= len(s) || !hexDigit(s[i+1]) || !hexDigit(s[i+2]) {
				return false
			}
			i += 2
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}
