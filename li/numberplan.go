package li

import "strings"

// NumberPlan is the national plan under which text becomes an Identity. The zero
// value knows no prefixes: only numbers with "+" are read.
type NumberPlan struct {
	CountryCode           string   // digits, such as "49"
	NationalPrefix        string   // such as "0"; empty where there is none
	InternationalPrefixes []string // such as "00"
}

// The bounds of an E.164 number, and of what may be a subscriber's at all.
const (
	minE164Digits = 7
	maxE164Digits = 15
)

// Validate reports whether the plan's fields are digits of sensible length.
func (p NumberPlan) Validate() error {
	if p.CountryCode != "" && (!allDigits(p.CountryCode) || len(p.CountryCode) > 3) {
		return ErrPlan
	}
	for _, s := range append([]string{p.NationalPrefix}, p.InternationalPrefixes...) {
		if s != "" && (!allDigits(s) || len(s) > 5) {
			return ErrPlan
		}
	}
	return nil
}

// ParseTarget reads what a person typed as a warrant's target: an E.164 number in
// international or national form with or without visual separators, a tel: URI,
// or a SIP URI. It is strict: what is not plainly one of these is an error, and
// numbers too short for a subscriber's (110, 112) are ErrShort.
func (p NumberPlan) ParseTarget(s string) (Identity, error) {
	s = strings.TrimSpace(s)
	if scheme, rest, ok := cutScheme(s); ok {
		switch scheme {
		case "tel":
			return p.parseTel(rest)
		case "sip", "sips":
			return canonicalSIPURI(rest)
		default:
			return Identity{}, ErrIdentity
		}
	}
	if strings.Contains(s, "@") {
		return Identity{}, ErrSIPURI
	}
	return p.ParseNumber(s)
}

// ParseNumber reads a dialled number: with "+", with an international prefix, or
// in national form with the national prefix. Visual separators (RFC 3966 and
// space, slash) are dropped. Numbers without any prefix are refused: they are
// local, or already stripped by a peer whose own plan must say so.
func (p NumberPlan) ParseNumber(s string) (Identity, error) {
	digits, plus, ok := stripSeparators(s)
	if !ok {
		return Identity{}, ErrE164
	}
	if !plus {
		if digits, ok = p.international(digits); !ok {
			if len(digits) < minE164Digits {
				return Identity{}, ErrShort
			}
			return Identity{}, ErrE164
		}
	}
	return e164(digits)
}

// Identities returns every Identity that a URI of a SIP message names: the E.164
// number if its user part or tel: body is one, and the canonical SIP URI. The
// URI comes without angle brackets and header parameters. Text that names nobody
// gives none.
func (p NumberPlan) Identities(uri string) []Identity {
	scheme, rest, ok := cutScheme(uri)
	if !ok {
		return nil
	}
	switch scheme {
	case "tel":
		if id, err := p.parseTel(rest); err == nil {
			return []Identity{id}
		}
		return nil
	case "sip", "sips":
		return p.sipIdentities(rest)
	}
	return nil
}

func (p NumberPlan) sipIdentities(rest string) []Identity {
	var ids []Identity
	if user, _, ok := splitSIP(rest); ok {
		number, params, _ := strings.Cut(unescape(user), ";")
		if id, err := p.parseTel(number + prefixed(params)); err == nil {
			ids = append(ids, id)
		}
	}
	if id, err := canonicalSIPURI(rest); err == nil {
		ids = append(ids, id)
	}
	return ids
}

// parseTel reads the body of a tel: URI (RFC 3966) and applies phone-context.
func (p NumberPlan) parseTel(body string) (Identity, error) {
	number, params, _ := strings.Cut(body, ";")
	if strings.HasPrefix(number, "+") {
		return p.ParseNumber(number)
	}
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(name, "phone-context") && strings.HasPrefix(value, "+") {
			return p.withContext(value, number)
		}
	}
	return p.ParseNumber(number)
}

func (p NumberPlan) withContext(context, number string) (Identity, error) {
	prefix, _, ok := stripSeparators(context)
	digits, _, ok2 := stripSeparators(number)
	if !ok || !ok2 {
		return Identity{}, ErrE164
	}
	if prefix == p.CountryCode && p.NationalPrefix != "" {
		digits = strings.TrimPrefix(digits, p.NationalPrefix)
	}
	return e164(prefix + digits)
}

// international turns a prefixed national or international number into E.164 digits.
func (p NumberPlan) international(digits string) (string, bool) {
	for _, prefix := range p.InternationalPrefixes {
		if prefix != "" && strings.HasPrefix(digits, prefix) {
			return digits[len(prefix):], true
		}
	}
	if p.NationalPrefix != "" && p.CountryCode != "" && strings.HasPrefix(digits, p.NationalPrefix) {
		return p.CountryCode + digits[len(p.NationalPrefix):], true
	}
	return digits, false
}

func e164(digits string) (Identity, error) {
	if len(digits) < minE164Digits {
		return Identity{}, ErrShort
	}
	if len(digits) > maxE164Digits || digits[0] == '0' {
		return Identity{}, ErrE164
	}
	return newIdentity(E164, digits), nil
}

// stripSeparators drops RFC 3966 visual separators, space and slash, and reports
// whether a leading "+" stood there. Anything else but digits is refused.
func stripSeparators(s string) (digits string, plus, ok bool) {
	s = strings.TrimSpace(s)
	s, plus = strings.CutPrefix(s, "+")
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			b.WriteByte(c)
		case strings.IndexByte("-.() /", c) >= 0:
		default:
			return "", false, false
		}
	}
	return b.String(), plus, b.Len() > 0
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func prefixed(params string) string {
	if params == "" {
		return ""
	}
	return ";" + params
}
