package wire

import "iter"

// Span is a half-open range of octets of a message.
type Span struct{ Start, End int }

// Field is one header field line, continuation lines included.
type Field struct {
	Header Header
	Line   Span // the whole line with its CRLF
	Value  Span // without surrounding white space; folds stay inside
}

// Message is one SIP message and where its parts stand.
type Message struct {
	Raw    []byte // exactly the message: octets after its body are cut off
	Fields []Field
	Body   Span

	Method string // of the request; of a response, its CSeq method
	URI    Span   // the Request-URI; empty for a response
	Status int    // 100 to 699; 0 for a request

	RequestURI URI // parsed; zero for a response

	TopVia      ViaValue // the first Via value
	From, To    NameAddr
	CallID      string
	Sequence    uint32 // of CSeq
	MaxForwards int    // -1 when absent
	headersAt   int    // where the first header line begins
}

// IsRequest reports whether m is a request.
func (m *Message) IsRequest() bool { return m.Status == 0 }

// Text returns the octets of a span as a string.
func (m *Message) Text(s Span) string { return string(m.Raw[s.Start:s.End]) }

// BodyBytes returns the body. It aliases Raw.
func (m *Message) BodyBytes() []byte { return m.Raw[m.Body.Start:m.Body.End] }

// HeadersAt is where the first header line begins: a line inserted there is the
// topmost of its name.
func (m *Message) HeadersAt() int { return m.headersAt }

// First returns the first field of that name.
func (m *Message) First(h Header) (Field, bool) {
	for _, f := range m.Fields {
		if f.Header == h {
			return f, true
		}
	}
	return Field{}, false
}

// Value returns the first field's value with folds as they stand, empty when the
// message has no such field.
func (m *Message) Value(h Header) string {
	f, ok := m.First(h)
	if !ok {
		return ""
	}
	return m.Text(f.Value)
}

// Element is one value of a field that may hold a comma-separated list.
type Element struct {
	Field Field
	Span  Span // without surrounding white space
	Alone bool // the only value on its line
}

// Elements yields the values of all fields of that name, top down.
func (m *Message) Elements(h Header) iter.Seq[Element] {
	return func(yield func(Element) bool) {
		for _, f := range m.Fields {
			if f.Header != h {
				continue
			}
			parts := splitList(m.Raw, f.Value)
			for _, part := range parts {
				if !yield(Element{Field: f, Span: part, Alone: len(parts) == 1}) {
					return
				}
			}
		}
	}
}

// ElementEdit returns the range to delete so that the first n values of a field
// vanish and the rest stay as they are.
func (m *Message) ElementEdit(f Field, n int) Span {
	parts := splitList(m.Raw, f.Value)
	if n >= len(parts) {
		return f.Line
	}
	return Span{parts[0].Start, parts[n].Start}
}
