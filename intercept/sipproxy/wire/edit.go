package wire

import (
	"net/netip"
	"slices"
	"strconv"
)

// Edits is a list of changes to one message. The zero value changes nothing.
type Edits struct {
	list []edit
}

type edit struct {
	span Span
	text string
}

// Insert puts text before the octet at at. Inserts at one place keep their order.
func (e *Edits) Insert(at int, text string) { e.list = append(e.list, edit{Span{at, at}, text}) }

// Replace puts text in the place of s.
func (e *Edits) Replace(s Span, text string) { e.list = append(e.list, edit{s, text}) }

// Delete takes s away.
func (e *Edits) Delete(s Span) { e.list = append(e.list, edit{s, ""}) }

// Apply returns raw with the edits spliced in. Of two edits that overlap the later
// one is left out: no caller makes such.
func (e *Edits) Apply(raw []byte) []byte {
	return e.AppendRange(make([]byte, 0, len(raw)+e.growth()), raw, Span{0, len(raw)})
}

// AppendRange appends a part of raw with the edits that fall into it.
func (e *Edits) AppendRange(dst, raw []byte, part Span) []byte {
	slices.SortStableFunc(e.list, func(a, b edit) int { return a.span.Start - b.span.Start })
	at := part.Start
	for _, x := range e.list {
		if x.span.Start < at || x.span.End > part.End {
			continue
		}
		dst = append(dst, raw[at:x.span.Start]...)
		dst = append(dst, x.text...)
		at = x.span.End
	}
	return append(dst, raw[at:part.End]...)
}

// SetLength gives a message that came without Content-Length one, where it goes over
// a stream (RFC 3261 clause 18.3). It counts the edits of the body made so far.
func (m *Message) SetLength(e *Edits, stream bool) {
	if _, ok := m.First(ContentLength); ok || !stream {
		return
	}
	length := m.Body.End - m.Body.Start
	for _, x := range e.list {
		if x.span.Start >= m.Body.Start {
			length += len(x.text) - (x.span.End - x.span.Start)
		}
	}
	e.Insert(m.Body.Start-2, "Content-Length: "+strconv.Itoa(length)+"\r\n")
}

func (e *Edits) growth() int {
	n := 0
	for _, x := range e.list {
		n += len(x.text)
	}
	return n
}

// PopVia takes the first Via value away (RFC 3261 clause 16.7 step 3).
func (m *Message) PopVia(e *Edits) { e.Delete(m.ElementEdit(m.TopVia.Field, 1)) }

// StampVia writes into the topmost Via where the request came from (RFC 3261
// clause 18.2.1, RFC 3581 clause 4).
func (m *Message) StampVia(e *Edits, src netip.AddrPort) {
	v := m.TopVia
	if v.HasRPort {
		// First, since received may have to follow it at the same place.
		at := Span{v.rport.name.End, v.rport.value.End}
		e.Replace(at, "="+strconv.Itoa(int(src.Port())))
	}
	addr := src.Addr().Unmap().String()
	switch {
	case v.Received != "":
		e.Replace(v.received.value, addr)
	case v.HasRPort || v.Host != addr && v.Host != "["+addr+"]":
		e.Insert(v.Span.End, ";received="+addr)
	}
}

// SetMaxForwards counts one hop (RFC 3261 clause 16.6 step 3).
func (m *Message) SetMaxForwards(e *Edits) {
	f, ok := m.First(MaxForwards)
	if !ok {
		e.Insert(m.headersAt, "Max-Forwards: 70\r\n")
		return
	}
	e.Replace(f.Value, strconv.Itoa(max(m.MaxForwards-1, 0)))
}

// SetBody replaces a part of the body and corrects Content-Length.
func (m *Message) SetBody(e *Edits, part Span, text string) {
	e.Replace(part, text)
	length := m.Body.End - m.Body.Start - (part.End - part.Start) + len(text)
	if f, ok := m.First(ContentLength); ok {
		e.Replace(f.Value, strconv.Itoa(length))
	}
}
