package wire

// NameAddr is a name-addr or addr-spec with its header parameters (RFC 3261
// clause 20.10).
type NameAddr struct {
	URI Span
	Tag string // the tag parameter, empty when absent
}

// ParseNameAddr reads one value of From, To, Route, Record-Route, Contact or
// P-Asserted-Identity.
func ParseNameAddr(b []byte, s Span) (NameAddr, bool) {
	s = trim(b, s)
	open := find(b, s, '<')
	if open < 0 {
		return addrSpec(b, s)
	}
	if !displayName(b, trim(b, Span{s.Start, open})) {
		return NameAddr{}, false
	}
	end := open + 1
	for end < s.End && b[end] != '>' {
		if isSpace(b[end]) || b[end] == '<' {
			return NameAddr{}, false
		}
		end++
	}
	if end == s.End {
		return NameAddr{}, false
	}
	return withParams(b, Span{open + 1, end}, Span{end + 1, s.End})
}

// addrSpec reads the form without angle brackets: all parameters are the header's.
func addrSpec(b []byte, s Span) (NameAddr, bool) {
	end := s.Start
	for end < s.End && b[end] != ';' {
		if isSpace(b[end]) && trim(b, Span{end, s.End}).Start < s.End && b[trim(b, Span{end, s.End}).Start] != ';' {
			return NameAddr{}, false
		}
		if b[end] == '"' || b[end] == '>' || b[end] == ',' {
			return NameAddr{}, false
		}
		end++
	}
	return withParams(b, trim(b, Span{s.Start, end}), Span{end, s.End})
}

func withParams(b []byte, uri, rest Span) (NameAddr, bool) {
	if !hasScheme(b[uri.Start:uri.End]) {
		return NameAddr{}, false
	}
	params, ok := scanParams(b, rest)
	if !ok {
		return NameAddr{}, false
	}
	n := NameAddr{URI: uri}
	for _, p := range params {
		if n.Tag == "" && equalFold(b[p.name.Start:p.name.End], "tag") {
			n.Tag = string(b[p.value.Start:p.value.End])
		}
	}
	return n, true
}

// displayName reports whether s is empty, a quoted string or tokens.
func displayName(b []byte, s Span) bool {
	if s.Start < s.End && b[s.Start] == '"' {
		return skipQuoted(b, s.Start, s.End) == s.End
	}
	for i := s.Start; i < s.End; i++ {
		if !isToken(b[i]) && !isSpace(b[i]) {
			return false
		}
	}
	return true
}

func hasScheme(uri []byte) bool {
	for i, c := range uri {
		if c == ':' {
			return i > 0 && i+1 < len(uri)
		}
		if !isToken(c) {
			return false
		}
	}
	return false
}
