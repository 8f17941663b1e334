package wire

import "strings"

// URI is what routing needs of a SIP or SIPS URI.
type URI struct {
	Scheme    string // lower case
	User      string // as it stands, escapes and password included
	Host      string // lower case, an IPv6 address in brackets
	Port      uint16 // 0 when absent
	Params    string // everything after the host, without the first ";"
	Transport string // the transport parameter, lower case
}

// ParseURI reads a URI. Of schemes other than sip and sips only Scheme is set.
func ParseURI(text string) (URI, bool) {
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok || rest == "" || !allToken([]byte(scheme)) {
		return URI{}, false
	}
	u := URI{Scheme: strings.ToLower(scheme)}
	if u.Scheme != "sip" && u.Scheme != "sips" {
		return u, true
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		u.User, rest = rest[:at], rest[at+1:]
	}
	if q := strings.IndexByte(rest, '?'); q >= 0 {
		rest = rest[:q]
	}
	rest, u.Params, _ = strings.Cut(rest, ";")
	u.Host, u.Port, ok = hostPort([]byte(rest), Span{0, len(rest)})
	if !ok {
		return URI{}, false
	}
	transport, _ := u.Param("transport")
	u.Transport = strings.ToLower(transport)
	return u, true
}

// Param returns a URI parameter's value and whether it is there.
func (u URI) Param(name string) (string, bool) {
	for p := range strings.SplitSeq(u.Params, ";") {
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}
