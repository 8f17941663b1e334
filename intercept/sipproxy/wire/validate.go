package wire

import "bytes"

// readVia reads the topmost Via and looks over the others.
func (m *Message) readVia() *Fault {
	first := true
	for e := range m.Elements(Via) {
		v, ok := ParseVia(m.Raw, e)
		if !ok {
			return malformed("malformed Via")
		}
		if first {
			m.TopVia, first = v, false
		}
	}
	if first {
		return malformed("no Via")
	}
	return nil
}

// readParties reads From, To and Call-ID.
func (m *Message) readParties() *Fault {
	for _, p := range []struct {
		header Header
		into   *NameAddr
	}{{From, &m.From}, {To, &m.To}} {
		f, ok := m.First(p.header)
		if !ok {
			return malformed("no From or no To")
		}
		if *p.into, ok = ParseNameAddr(m.Raw, f.Value); !ok {
			return malformed("malformed From or To")
		}
	}
	m.CallID = m.Value(CallID)
	if m.CallID == "" || bytes.ContainsAny([]byte(m.CallID), " \t\r\n") {
		return malformed("no Call-ID or a malformed one")
	}
	return nil
}

// readNumbers reads CSeq and Max-Forwards.
func (m *Message) readNumbers() *Fault {
	f, _ := m.First(CSeq)
	value := m.Raw[f.Value.Start:f.Value.End]
	sp := bytes.IndexAny(value, " \t\r\n")
	if sp < 1 {
		return malformed("no CSeq or a malformed one")
	}
	n, ok := number(value[:sp], maxSequence)
	method := bytes.TrimLeft(value[sp:], " \t\r\n")
	if !ok || !allToken(method) {
		return malformed("malformed CSeq")
	}
	m.Sequence = uint32(n)
	if !m.IsRequest() {
		m.Method = string(method)
	} else if string(method) != m.Method {
		return malformed("the CSeq names another method")
	}
	if f, ok = m.First(MaxForwards); ok {
		n, ok := number(m.Raw[f.Value.Start:f.Value.End], maxMaxForwards)
		if !ok {
			return malformed("malformed Max-Forwards")
		}
		m.MaxForwards = int(n)
	}
	return nil
}

// readLength cuts the body to Content-Length.
func (m *Message) readLength() *Fault {
	f, ok := m.First(ContentLength)
	if !ok {
		return nil
	}
	n, ok := number(m.Raw[f.Value.Start:f.Value.End], MaxMessageBytes)
	if !ok {
		return malformed("malformed Content-Length")
	}
	if m.Body.Start+int(n) > len(m.Raw) {
		return malformed("the body is shorter than its Content-Length")
	}
	m.Body.End = m.Body.Start + int(n)
	m.Raw = m.Raw[:m.Body.End]
	return nil
}
