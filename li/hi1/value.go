package hi1

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unique"

	"github.com/ligate/ligate/li"
)

// UUID is the lower-case text of a UUID (TS 103 280).
type UUID string

// ParseUUID accepts the canonical lower-case form.
func ParseUUID(s string) (UUID, error) {
	if _, err := li.ParseXID(s); err != nil {
		return "", ErrValue
	}
	return UUID(s), nil
}

// Country is two capitals (ISO 3166-1).
type Country string

const redacted = "[hidden]"

// Value is a target identifier's value. It hides from every printer.
type Value struct{ text unique.Handle[string] }

// NewValue hides a text.
func NewValue(s string) Value { return Value{unique.Make(s)} }

// Reveal returns the text: for codecs and stores only.
func (v Value) Reveal() string {
	if v == (Value{}) {
		return ""
	}
	return v.text.Value()
}

// Equal reports whether both hold the same text.
func (v Value) Equal(other Value) bool { return v == other }

// Format hides the value under every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the value.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// Contents are the octets of a document. They hide from every printer.
type Contents struct{ text unique.Handle[string] }

// NewContents keeps octets.
func NewContents(b []byte) Contents { return Contents{unique.Make(string(b))} }

// Reveal returns the octets: for codecs and stores only.
func (v Contents) Reveal() []byte {
	if v == (Contents{}) {
		return nil
	}
	return []byte(v.text.Value())
}

// Equal reports whether both hold the same octets.
func (v Contents) Equal(other Contents) bool { return v == other }

// Format hides the octets under every verb.
func (v Contents) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the octets.
func (v Contents) LogValue() slog.Value { return slog.StringValue(redacted) }

// rule is how values of one type stand in a document.
type rule[T any] struct {
	form  form
	token bool // white space around it means nothing
	want  string
	parse func(string) (T, bool)
	print func(T) string
}

func (r rule[T]) decode(c *cursor, n *node, path string, item bool) (v T) {
	switch {
	case c.fault != nil:
		return v
	case n.typ.Local != "":
		c.fail(path, n.at, "xsi:type is not expected here")
	case len(n.kids) > 0 || n.form == formObject || c.format == formatJSON && n.form != r.form:
		c.fail(path, n.at, "want "+r.want)
	case c.format == formatJSON && n.item != item:
		c.fail(path, n.at, "want an array where, and only where, the schema allows several")
	}
	if c.fault != nil {
		return v
	}
	text := n.text
	if r.token && c.format == formatXML {
		text = trim(text)
	}
	if text == "" {
		c.fail(path, n.at, "is empty: leave it out, or give "+r.want)
		return v
	}
	got, ok := r.parse(text)
	if !ok {
		c.fail(path, n.at, "want "+r.want)
		return v
	}
	return got
}

func (r rule[T]) encode(c *cursor, n *node, path string, v T) {
	n.text = r.print(v)
	if _, ok := r.parse(n.text); n.text == "" || !ok {
		c.fail(path, 0, "want "+r.want)
	}
}

// text is a rule for strings of a type S.
func text[S ~string](token bool, want string, ok func(string) bool) rule[S] {
	return rule[S]{
		token: token, want: want,
		parse: func(s string) (S, bool) { return S(s), ok(s) },
		print: func(s S) string { return string(s) },
	}
}

// like reports whether s has the shape of mask: 0 stands for a digit, A for a capital,
// f for a lower-case hexadecimal digit, anything else for itself.
func like(s, mask string) bool {
	if len(s) != len(mask) {
		return false
	}
	for i := range len(s) {
		ok := s[i] == mask[i]
		switch mask[i] {
		case '0':
			ok = digit(s[i])
		case 'A':
			ok = s[i] >= 'A' && s[i] <= 'Z'
		case 'f':
			ok = digit(s[i]) || s[i] >= 'a' && s[i] <= 'f'
		}
		if !ok {
			return false
		}
	}
	return true
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

func alnum(b byte) bool { return digit(b) || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' }

// digits holds for 1 to most digits.
func digits(s string, most int) bool {
	return len(s) > 0 && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// of holds for texts of letters, digits and the other characters.
func of(s, others string) bool {
	for i := range len(s) {
		if !alnum(s[i]) && strings.IndexByte(others, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// Longest texts, in characters (TS 103 280).
const (
	maxShort = 255
	maxLong  = 65535
)

func short() rule[string] {
	return text[string](false, "at most 255 characters", func(s string) bool { return printable(s, maxShort) })
}

func long() rule[string] {
	return text[string](false, "at most 65535 characters", func(s string) bool { return printable(s, maxLong) })
}

// printable holds for texts of characters that XML can carry, and not only of white
// space, which XML tools like to drop.
func printable(s string, most int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most || blank(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	})
}

func uuid() rule[UUID] {
	return text[UUID](true, "a UUID in lower case", func(s string) bool { _, err := ParseUUID(s); return err == nil })
}

func country() rule[Country] {
	return text[Country](true, "two capitals (ISO 3166-1)", func(s string) bool { return like(s, "AA") })
}

func version() rule[string] {
	return text[string](true, "a version such as V1.12.1", func(s string) bool {
		numbers, isVersion := strings.CutPrefix(s, "V")
		parts := strings.Split(numbers, ".")
		return isVersion && len(parts) == 3 && digits(parts[0], 4) && digits(parts[1], 4) && digits(parts[2], 4)
	})
}

func e164() rule[string] {
	return text[string](true, "1 to 15 digits", func(s string) bool { return digits(s, 15) })
}

func liid() rule[li.LIID] {
	return text[li.LIID](true, "an LIID of 1 to 25 visible characters", func(s string) bool { _, err := li.ParseLIID(s); return err == nil })
}

func hidden() rule[Value] {
	inner := long()
	return rule[Value]{
		want:  inner.want,
		parse: func(s string) (Value, bool) { _, ok := inner.parse(s); return NewValue(s), ok },
		print: Value.Reveal,
	}
}

func number() rule[uint32] {
	return rule[uint32]{
		form: formNumber, token: true, want: "a number of at most nine digits",
		parse: func(s string) (uint32, bool) {
			n, err := strconv.ParseUint(s, 10, 32)
			return uint32(n), err == nil && digits(s, 9) && (s == "0" || s[0] != '0')
		},
		print: func(n uint32) string { return strconv.FormatUint(uint64(n), 10) },
	}
}

func boolean() rule[bool] {
	return rule[bool]{
		form: formBool, token: true, want: "true or false",
		parse: func(s string) (v, ok bool) {
			v = s == "true" || s == "1"
			return v, v || s == "false" || s == "0"
		},
		print: strconv.FormatBool,
	}
}

// The forms of times (TS 103 280, QualifiedDateTime and the same with microseconds).
const (
	secondsForm = "2006-01-02T15:04:05Z07:00"
	microsForm  = "2006-01-02T15:04:05.000000Z07:00"
)

func seconds() rule[time.Time] {
	return instant("a time in seconds with Z or offset", secondsForm, "0000-00-00T00:00:00")
}

func micros() rule[time.Time] {
	return instant("a time with six decimals and Z or offset", microsForm, "0000-00-00T00:00:00.000000")
}

func instant(want, layout, mask string) rule[time.Time] {
	return rule[time.Time]{
		token: true, want: want,
		parse: func(s string) (time.Time, bool) {
			t, err := time.Parse(layout, s)
			t = t.UTC()
			shaped := like(s, mask+"Z") || like(s, mask+"+00:00") || like(s, mask+"-00:00")
			return t, err == nil && shaped && t.Year() >= 1970 && t.Year() <= 9999
		},
		print: func(t time.Time) string { return t.UTC().Format(layout) },
	}
}

func octets() rule[Contents] {
	return rule[Contents]{
		token: true, want: "base64",
		parse: func(s string) (Contents, bool) {
			packed := strings.Map(func(r rune) rune {
				if strings.ContainsRune(" \t\r\n", r) {
					return -1
				}
				return r
			}, s)
			b, err := base64.StdEncoding.Strict().DecodeString(packed)
			return NewContents(b), err == nil && len(b) > 0
		},
		print: func(v Contents) string { return base64.StdEncoding.EncodeToString(v.Reveal()) },
	}
}
