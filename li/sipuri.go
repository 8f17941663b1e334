package li

import (
	"net/netip"
	"strings"
)

// maxSIPIdentityBytes bounds user and host together. The rest of a URI may be as
// long as it likes: padding must not hide a party.
const maxSIPIdentityBytes = 256

// cutScheme splits "sip:rest" and lowers the scheme.
func cutScheme(uri string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(uri, ":")
	if !ok || scheme == "" || rest == "" {
		return "", "", false
	}
	for i := range len(scheme) {
		c := scheme[i] | 0x20
		if c < 'a' || c > 'z' {
			return "", "", false
		}
	}
	return strings.ToLower(scheme), rest, true
}

// splitSIP returns the user and the host of what follows "sip:". Password, port,
// parameters and headers are dropped: none of them tells who a party is. The first
// "@" ends the user (RFC 3261 clause 25.1): what stands behind it cannot hide him.
func splitSIP(rest string) (user, host string, ok bool) {
	user, host, ok = strings.Cut(rest, "@")
	if !ok {
		return "", "", false
	}
	user, _, _ = strings.Cut(user, ":")
	if end := strings.IndexAny(host, ";?"); end >= 0 {
		host = host[:end]
	}
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", "", false
		}
		host = host[:end+1]
	} else {
		host, _, _ = strings.Cut(host, ":")
	}
	return user, host, user != "" && host != ""
}

// canonicalSIPURI gives sip:user@host with one spelling of each octet of the user
// and the host in lower case. sips: is the same party.
func canonicalSIPURI(rest string) (Identity, error) {
	user, host, ok := splitSIP(rest)
	if !ok || len(user)+len(host) > maxSIPIdentityBytes {
		return Identity{}, ErrSIPURI
	}
	user, ok = canonicalUser(user)
	if !ok {
		return Identity{}, ErrSIPURI
	}
	host, ok = canonicalHost(host)
	if !ok {
		return Identity{}, ErrSIPURI
	}
	return newIdentity(SIPURI, "sip:"+user+"@"+host), nil
}

const (
	// unreserved marks of RFC 3261 clause 25.1, equal to their escapes
	// (clause 19.1.4). "+" joins them: many agents escape it in numbers.
	unreservedMarks = "-_.!~*'()+"
	// reserved may stand in a user and differ from their escapes.
	reservedInUser = "&=$,;?/"
)

// canonicalUser writes each octet of a user in one way: unreserved ones as they
// are, reserved ones as they came, all others escaped with upper-case digits.
func canonicalUser(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, escaped := s[i], false
		if c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			c, escaped = byte(unhex(s[i+1])<<4|unhex(s[i+2])), true
			i += 2
		}
		switch {
		case alphanumeric(c) || strings.IndexByte(unreservedMarks, c) >= 0,
			!escaped && strings.IndexByte(reservedInUser, c) >= 0:
			b.WriteByte(c)
		case !escaped && (c <= ' ' || c == 0x7f || strings.IndexByte(`<>"@`, c) >= 0):
			return "", false
		default:
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String(), b.Len() <= maxSIPIdentityBytes
}

// canonicalHost lowers a name, drops its final dot, and gives an IPv6 reference
// the one spelling of RFC 5952.
func canonicalHost(host string) (string, bool) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return "[" + addr.String() + "]", err == nil && addr.Is6() && addr.Zone() == ""
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for label := range strings.SplitSeq(host, ".") {
		if label == "" {
			return "", false
		}
		for i := range len(label) {
			if c := label[i]; !alphanumeric(c) && c != '-' && c != '_' {
				return "", false
			}
		}
	}
	return host, true
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// unescape resolves every %HH. Its result is read as a number only.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			b.WriteByte(byte(unhex(s[i+1])<<4 | unhex(s[i+2])))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
