package wire

// ViaValue is one Via value (RFC 3261 clause 20.42).
type ViaValue struct {
	Element
	Transport string // upper case
	Host      string // lower case, an IPv6 address in brackets
	Port      uint16 // 0 when absent
	Branch    string
	Received  string
	RPort     uint16 // of rport with a value
	HasRPort  bool   // rport stands there, with or without a value
	HasAlias  bool   // alias stands there (RFC 5923)

	rport, received param // where they stand
}

// ParseVia reads one Via value.
func ParseVia(b []byte, e Element) (ViaValue, bool) {
	v := ViaValue{Element: e}
	rest := e.Span
	name, rest, ok := cutAt(b, rest, '/')
	if !ok || !equalFold(b[name.Start:name.End], "sip") {
		return v, false
	}
	version, rest, ok := cutAt(b, rest, '/')
	if !ok || !allToken(b[version.Start:version.End]) {
		return v, false // another version is no fault of the Via: its request gets 505
	}
	rest = trim(b, rest)
	end := rest.Start
	for end < rest.End && isToken(b[end]) {
		end++
	}
	if end == rest.Start || end == rest.End || !isSpace(b[end]) {
		return v, false
	}
	v.Transport = upper(b[rest.Start:end])
	sentBy := Span{end, rest.End}
	params := Span{rest.End, rest.End}
	if semi := find(b, sentBy, ';'); semi >= 0 {
		sentBy, params = Span{end, semi}, Span{semi, rest.End}
	}
	if v.Host, v.Port, ok = hostPort(b, trim(b, sentBy)); !ok {
		return v, false
	}
	return v, v.params(b, params)
}

func (v *ViaValue) params(b []byte, s Span) bool {
	params, ok := scanParams(b, s)
	for _, p := range params {
		name, value := b[p.name.Start:p.name.End], b[p.value.Start:p.value.End]
		switch {
		case equalFold(name, "branch") && v.Branch == "":
			v.Branch = string(value)
		case equalFold(name, "received") && v.Received == "":
			v.Received, v.received = string(value), p
		case equalFold(name, "alias"):
			v.HasAlias = true
		case equalFold(name, "rport") && !v.HasRPort:
			port, _ := number(value, 65535)
			v.HasRPort, v.RPort, v.rport = true, uint16(port), p
		}
	}
	return ok
}

// hostPort reads host, host:port, [v6] or [v6]:port. White space may surround ":".
func hostPort(b []byte, s Span) (host string, port uint16, ok bool) {
	end := s.Start
	if end < s.End && b[end] == '[' {
		for end++; end < s.End && b[end] != ']'; end++ {
			if !isToken(b[end]) && b[end] != ':' { // a quote would reach into what we add
				return "", 0, false
			}
		}
		if end == s.End {
			return "", 0, false
		}
		end++
	} else {
		for end < s.End && b[end] != ':' && !isSpace(b[end]) {
			if !isToken(b[end]) {
				return "", 0, false
			}
			end++
		}
	}
	host = lower(b[s.Start:end])
	rest := trim(b, Span{end, s.End})
	if rest.Start == rest.End {
		return host, 0, host != ""
	}
	if b[rest.Start] != ':' {
		return "", 0, false
	}
	digits := trim(b, Span{rest.Start + 1, rest.End})
	n, ok := number(b[digits.Start:digits.End], 65535)
	return host, uint16(n), ok && host != "" && n > 0
}

func cutAt(b []byte, s Span, c byte) (before, after Span, ok bool) {
	for i := s.Start; i < s.End; i++ {
		if b[i] == c {
			return trim(b, Span{s.Start, i}), Span{i + 1, s.End}, true
		}
	}
	return s, s, false
}

func upper(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			c -= 0x20
		}
		out[i] = c
	}
	return string(out)
}

func lower(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		out[i] = c
	}
	return string(out)
}
