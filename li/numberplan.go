package li

import "strings"

// NumberPlan is the national plan under which text becomes an Identity. The zero
// value knows no prefixes: only numbers with "+" are read.
type NumberPlan struct {
	CountryCode           string   // digits, such as "49"
	NationalPrefix        string   // such as "0"; empty where there is none
	InternationalPrefixes []string // such as "00"

	Bare       Bare   // what a number without any prefix is; a peer's own plan may say so
	TechPrefix string // digits that a peer puts before every number; empty = none
}

// Bare says what a number without any prefix is.
type Bare uint8

// The readings. Unread is the zero value: such a number names nobody.
const (
	Unread             Bare = iota
	BareInternational       // the country code comes first
	BareNationalNumber      // the area code comes first, without the national prefix
)

// The bounds of an E.164 number, and of what may be a subscriber's at all.
const (
	minE164Digits = 7
	maxE164Digits = 15

	maxCountryCodeDigits = 3
)

// maxTargetBytes bounds what a person may type.
const maxTargetBytes = 256

// Validate reports whether the plan's fields are digits of sensible length.
func (p NumberPlan) Validate() error {
	if p.CountryCode != "" && (!allDigits(p.CountryCode) || len(p.CountryCode) > maxCountryCodeDigits) {
		return ErrPlan
	}
	if p.Bare > BareNationalNumber || p.Bare == BareNationalNumber && p.CountryCode == "" {
		return ErrPlan
	}
	for _, s := range append([]string{p.NationalPrefix, p.TechPrefix}, p.InternationalPrefixes...) {
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
	if len(s) > maxTargetBytes || !ascii(s) {
		return Identity{}, ErrIdentity
	}
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
// space, slash) are dropped, and so is the "(0)" of "+49 (0) 30". Numbers without
// any prefix are refused: they are local, or already stripped by a peer whose own
// plan must say so with Bare.
func (p NumberPlan) ParseNumber(s string) (Identity, error) {
	digits, plus, ok := stripSeparators(s)
	if !ok {
		return Identity{}, ErrE164
	}
	if plus {
		return e164(p.withoutTrunkZero(digits))
	}
	digits, ok = p.international(strings.TrimPrefix(digits, p.TechPrefix))
	if ok {
		return e164(digits)
	}
	switch {
	case len(digits) < minE164Digits || p.Bare == Unread:
	case p.Bare == BareInternational:
		return e164(digits)
	default:
		return e164(p.CountryCode + digits)
	}
	if len(digits) < minE164Digits {
		return Identity{}, ErrShort
	}
	return Identity{}, ErrE164
}

// Identities returns every Identity that a URI of a SIP message names: the E.164
// number if its user part or tel: body is one, and the canonical SIP URI. The
// URI comes without angle brackets and header parameters. Text that names nobody
// gives none. A service code before the number (*31#, #31#) is not part of it.
func (p NumberPlan) Identities(uri string) []Identity {
	scheme, rest, ok := cutScheme(uri)
	if !ok {
		return nil
	}
	switch scheme {
	case "tel":
		if id, err := p.parseTel(withoutServiceCode(unescape(rest))); err == nil {
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
		if id, err := p.parseTel(withoutServiceCode(unescape(user))); err == nil {
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

// withContext puts a global context before a local number (RFC 3966 clause
// 5.1.5). Some agents leave the prefixes on that only a caller would dial.
func (p NumberPlan) withContext(context, number string) (Identity, error) {
	prefix, _, ok := stripSeparators(context)
	digits, _, ok2 := stripSeparators(number)
	if !ok || !ok2 {
		return Identity{}, ErrE164
	}
	if prefix == p.CountryCode && strings.HasPrefix(digits, "0") {
		if id, err := p.ParseNumber(number); err == nil {
			return id, nil
		}
	}
	return e164(p.withoutTrunkZero(prefix + digits))
}

// withoutTrunkZero drops a national prefix of zeros that was left behind our own
// country code, as in +49 030. Where the prefix is another digit (8 in +7 812) a
// number may begin with it.
func (p NumberPlan) withoutTrunkZero(digits string) string {
	if p.CountryCode == "" || !strings.HasPrefix(p.NationalPrefix, "0") {
		return digits
	}
	national, ok := strings.CutPrefix(digits, p.CountryCode+p.NationalPrefix)
	if !ok || strings.HasPrefix(national, "0") {
		return digits
	}
	return p.CountryCode + national
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
	if plus {
		s = withoutTrunkMark(s)
	}
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

// withoutTrunkMark drops the "(0)" that people write behind a country code.
func withoutTrunkMark(s string) string {
	code, rest, ok := strings.Cut(s, "(0)")
	if !ok || len(strings.Trim(code, " ")) > maxCountryCodeDigits || code == "" {
		return s
	}
	return code + rest
}

// withoutServiceCode drops a code of the form *31#, #31# or *#31# (two or three
// digits, TS 22.030 clause 6.5.2) before a number.
func withoutServiceCode(s string) string {
	code := strings.TrimLeft(s, "*#")
	if marks := len(s) - len(code); marks < 1 || marks > 2 {
		return s
	}
	end := strings.IndexAny(code, "*#")
	if end < 2 || end > 3 || !allDigits(code[:end]) {
		return s
	}
	return code[end+1:]
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
