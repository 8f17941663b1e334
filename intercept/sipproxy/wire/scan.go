package wire

// The scanners work on raw octets: CR and LF inside a value occur only in folds,
// so they count as white space (RFC 3261 clause 25.1, LWS).

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// isToken reports whether c may stand in a token (RFC 3261 clause 25.1).
func isToken(c byte) bool {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
		return true
	}
	switch c {
	case '-', '.', '!', '%', '*', '_', '+', '`', '\'', '~':
		return true
	}
	return false
}

func allToken(b []byte) bool {
	for _, c := range b {
		if !isToken(c) {
			return false
		}
	}
	return len(b) > 0
}

func trim(b []byte, s Span) Span {
	for s.Start < s.End && isSpace(b[s.Start]) {
		s.Start++
	}
	for s.End > s.Start && isSpace(b[s.End-1]) {
		s.End--
	}
	return s
}

// skipQuoted returns where the quoted string that begins at i ends, -1 when it
// does not end before limit.
func skipQuoted(b []byte, i, limit int) int {
	for i++; i < limit; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// find returns where c first stands outside quotes and angle brackets, or -1.
func find(b []byte, s Span, c byte) int {
	angle := false
	for i := s.Start; i < s.End; i++ {
		switch {
		case b[i] == c && !angle:
			return i
		case b[i] == '"' && !angle:
			end := skipQuoted(b, i, s.End)
			if end < 0 {
				return -1
			}
			i = end - 1
		case b[i] == '<':
			angle = true
		case b[i] == '>':
			angle = false
		}
	}
	return -1
}

// splitList cuts a field value at its commas. Empty elements are dropped.
func splitList(b []byte, s Span) []Span {
	var parts []Span
	for s.Start < s.End {
		comma := find(b, s, ',')
		end := comma
		if comma < 0 {
			end = s.End
		}
		if part := trim(b, Span{s.Start, end}); part.Start < part.End {
			parts = append(parts, part)
		}
		if comma < 0 {
			break
		}
		s.Start = comma + 1
	}
	return parts
}

// param is one parameter; value is empty when there is no "=".
type param struct{ name, value Span }

// scanParams reads ";name=value" parameters up to s.End. It reports false when
// one is empty or a quote does not end.
func scanParams(b []byte, s Span) ([]param, bool) {
	var params []param
	s = trim(b, s)
	for s.Start < s.End {
		if b[s.Start] != ';' {
			return nil, false
		}
		s.Start++
		end := find(b, s, ';')
		if end < 0 {
			end = s.End
		}
		part := trim(b, Span{s.Start, end})
		eq := find(b, part, '=')
		p := param{name: part, value: Span{part.End, part.End}}
		if eq >= 0 {
			p.name, p.value = trim(b, Span{part.Start, eq}), trim(b, Span{eq + 1, part.End})
		}
		if !allToken(b[p.name.Start:p.name.End]) || !closedQuotes(b, p.value) {
			return nil, false
		}
		params = append(params, p)
		s.Start = end
	}
	return params, true
}

// closedQuotes reports whether every quote of a parameter's value ends, and no angle
// bracket stands outside of them: what is appended must not fall into either.
func closedQuotes(b []byte, s Span) bool {
	for i := s.Start; i < s.End; i++ {
		switch b[i] {
		case '"':
			if i = skipQuoted(b, i, s.End) - 1; i < 0 {
				return false
			}
		case '<', '>':
			return false
		}
	}
	return true
}

// equalFold compares ASCII without regard to case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func number(b []byte, limit uint64) (uint64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + uint64(c-'0'); n > limit {
			return 0, false
		}
	}
	return n, true
}
