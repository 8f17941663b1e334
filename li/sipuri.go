package li

import (
	"net/netip"
	"strings"
)

const maxURIBytes = 256

// cutScheme splits "sip:rest" and lowers the scheme.
func cutScheme(uri string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(uri, ":")
	if !ok || rest == "" || len(uri) > maxURIBytes {
		return "", "", false
	}
	for i := range len(scheme) {
		c := scheme[i] | 0x20
		if c < 'a' || c > 'z' {
			return "", "", false
		}
	}
	return strings.ToLower(scheme), rest, scheme != ""
}

// splitSIP returns the user and the host of what follows "sip:". Password, port,
// parameters and headers are dropped: none of them tells who a party is.
func splitSIP(rest string) (user, host string, ok bool) {
	at := strings.LastIndexByte(cutHeaders(rest), '@')
	if at < 1 {
		return "", "", false
	}
	user, _, _ = strings.Cut(rest[:at], ":")
	host, _, _ = strings.Cut(cutHeaders(rest[at+1:]), ";")
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

// cutHeaders drops the "?headers" part, which only follows the host.
func cutHeaders(rest string) string {
	at := strings.LastIndexByte(rest, '@')
	if q := strings.IndexByte(rest[at+1:], '?'); q >= 0 {
		return rest[:at+1+q]
	}
	return rest
}

// canonicalSIPURI gives sip:user@host with the user unescaped where RFC 3261
// clause 19.1.4 holds the forms equal, the host in lower case.
func canonicalSIPURI(rest string) (Identity, error) {
	user, host, ok := splitSIP(rest)
	if !ok {
		return Identity{}, ErrSIPURI
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if !validHost(host) {
		return Identity{}, ErrSIPURI
	}
	user = unescape(user)
	for i := range len(user) {
		if user[i] <= ' ' || user[i] == 0x7f || user[i] == '@' || user[i] == '<' || user[i] == '>' || user[i] == '"' {
			return Identity{}, ErrSIPURI
		}
	}
	return newIdentity(SIPURI, "sip:"+user+"@"+host), nil
}

func validHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return err == nil && addr.Is6() && strings.HasSuffix(inner, "]")
	}
	for i := range len(host) {
		c := host[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return host != ""
}

// unescape resolves %HH of printable ASCII; other escapes stay as they are, with
// upper-case digits, so that equal URIs stay equal.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			b.WriteByte(s[i])
			continue
		}
		if c := byte(hi<<4 | lo); c > ' ' && c < 0x7f && c != '%' && c != '@' {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
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
