package li

import (
	"fmt"
	"log/slog"
	"unique"
)

// Kind says what an Identity is.
type Kind uint8

// The kinds of Identity. The zero value is invalid.
const (
	E164   Kind = iota + 1 // an international number, digits without "+"
	SIPURI                 // sip:user@host, canonical
)

func (k Kind) String() string {
	switch k {
	case E164:
		return "e164"
	case SIPURI:
		return "sip_uri"
	}
	return "invalid"
}

const redacted = "[identity]"

// Identity is a party as the number plan knows it. It is comparable and hides its
// text from every printer: the text sits behind a handle, so that even %v of an
// outer struct shows nothing.
type Identity struct {
	kind Kind
	text unique.Handle[string]
}

func newIdentity(k Kind, text string) Identity {
	return Identity{kind: k, text: unique.Make(text)}
}

// Kind reports the kind, zero for the zero Identity.
func (i Identity) Kind() Kind { return i.kind }

// IsZero reports whether i is no identity at all.
func (i Identity) IsZero() bool { return i.kind == 0 }

// Reveal returns the canonical text: digits without "+" for E164, sip:user@host
// for SIPURI. Call it in codecs, stores and the views of api only, and never
// hand its result to a log, a metric or an error.
func (i Identity) Reveal() string {
	if i.IsZero() {
		return ""
	}
	return i.text.Value()
}

// String hides the identity.
func (i Identity) String() string { return redacted }

// GoString hides the identity.
func (i Identity) GoString() string { return redacted }

// Format hides the identity under every verb.
func (i Identity) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the identity.
func (i Identity) LogValue() slog.Value { return slog.StringValue(redacted) }
