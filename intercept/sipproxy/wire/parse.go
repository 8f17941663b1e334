package wire

import "bytes"

// Limits of what is read. Longer messages are not SIP for us.
const (
	MaxMessageBytes = 65535
	maxFields       = 512
	maxSequence     = 1<<31 - 1
	maxMaxForwards  = 255
)

// Parse reads the message of one datagram, or one that FrameLength measured.
// Octets after the body are ignored (RFC 3261 clause 18.3). With a *Fault it also
// returns the message, as far as it was read, so that it can be answered. Any
// other error means that no answer is possible. A malformed response is never
// answered.
func Parse(raw []byte) (*Message, error) {
	if len(raw) > MaxMessageBytes {
		return nil, ErrNotSIP
	}
	for len(raw) >= 2 && raw[0] == '\r' && raw[1] == '\n' {
		raw = raw[2:] // clause 7.5: a CRLF before the start line is ignored
	}
	m := &Message{Raw: raw, MaxForwards: -1}
	lineEnd := bytes.Index(raw, []byte("\r\n"))
	if lineEnd < 0 {
		return nil, ErrNotSIP
	}
	fault, err := m.startLine(raw[:lineEnd])
	if err != nil {
		return nil, err
	}
	m.headersAt = lineEnd + 2
	m.Body = Span{len(raw), len(raw)}
	steps := []func() *Fault{m.index, m.readVia, m.readParties, m.readNumbers, m.readLength}
	for _, step := range steps {
		if f := step(); f != nil && fault == nil {
			fault = f
		}
	}
	if fault == nil {
		return m, nil
	}
	if !m.IsRequest() || m.TopVia.Host == "" || m.Method == "ACK" {
		return nil, ErrNotSIP
	}
	return m, fault
}

// startLine reads the request or status line (clauses 7.1 and 7.2).
func (m *Message) startLine(line []byte) (*Fault, error) {
	if len(line) >= 8 && equalFold(line[:8], "sip/2.0 ") {
		code := line[8:]
		if sp := bytes.IndexByte(code, ' '); sp >= 0 {
			code = code[:sp]
		}
		n, ok := number(code, 699)
		if !ok || len(code) != 3 || n < 100 {
			return nil, ErrNotSIP
		}
		m.Status = int(n)
		return nil, nil
	}
	sp := bytes.IndexByte(line, ' ')
	last := bytes.LastIndex(bytes.TrimRight(line, " "), []byte(" "))
	if sp < 1 || last <= sp || !allToken(line[:sp]) {
		return nil, ErrNotSIP
	}
	m.Method = string(line[:sp])
	version := line[last+1:]
	if len(version) < 5 || !equalFold(version[:4], "sip/") {
		return nil, ErrNotSIP
	}
	m.URI = Span{sp + 1, last}
	uri := line[sp+1 : last]
	switch {
	case version[len(version)-1] == ' ' || bytes.ContainsAny(uri, " \t"):
		return malformed("white space in the request line"), nil
	case !equalFold(version, "sip/2.0"):
		return &Fault{Status: 505, Rule: "version is not SIP/2.0"}, nil
	case bytes.ContainsAny(uri, "<>\"") || !hasScheme(uri):
		return malformed("malformed Request-URI"), nil
	}
	var ok bool
	if m.RequestURI, ok = ParseURI(string(uri)); !ok {
		return malformed("malformed Request-URI"), nil
	}
	return nil, nil
}

// index finds the header fields and the body.
func (m *Message) index() *Fault {
	raw, at := m.Raw, m.headersAt
	m.Fields = make([]Field, 0, 24)
	var seen [Timestamp + 1]bool
	var fault *Fault
	for {
		if at == len(raw) {
			return orElse(fault, malformed("no empty line after the headers"))
		}
		end, ok := lineEnd(raw, at)
		if !ok {
			return orElse(fault, malformed("header line without CRLF"))
		}
		if end == at+2 && raw[at] == '\r' {
			m.Body = Span{end, len(raw)}
			return fault
		}
		f, ok := field(raw, Span{at, end})
		if !ok || len(m.Fields) == maxFields {
			return orElse(fault, malformed("malformed header line"))
		}
		if seen[f.Header] && f.Header.once() {
			fault = orElse(fault, malformed("header field that may stand only once is repeated"))
		} else {
			m.Fields = append(m.Fields, f)
		}
		seen[f.Header] = true
		at = end
	}
}

func orElse(f, other *Fault) *Fault {
	if f != nil {
		return f
	}
	return other
}

// lineEnd returns where the header line that begins at at ends, continuation lines
// included.
func lineEnd(raw []byte, at int) (int, bool) {
	begin := at
	for {
		n := bytes.IndexByte(raw[at:], '\n')
		if n < 1 || raw[at+n-1] != '\r' {
			return 0, false
		}
		at += n + 1
		if at == begin+2 || at == len(raw) || raw[at] != ' ' && raw[at] != '\t' {
			return at, true
		}
	}
}

func field(raw []byte, line Span) (Field, bool) {
	colon := bytes.IndexByte(raw[line.Start:line.End], ':')
	if colon < 1 {
		return Field{}, false
	}
	name := raw[line.Start : line.Start+colon]
	for len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == '\t') {
		name = name[:len(name)-1]
	}
	if !allToken(name) {
		return Field{}, false
	}
	return Field{Header: headerOf(name), Line: line, Value: trim(raw, Span{line.Start + colon + 1, line.End})}, true
}
