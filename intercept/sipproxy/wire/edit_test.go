package wire_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

const request = "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa%s\r\n" +
	"Route: <sip:x;lr>, <sip:y;lr>\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n" +
	"Content-Length: 3\r\n\r\nabc"

func parse(t *testing.T, text string) *wire.Message {
	t.Helper()
	m, err := wire.Parse([]byte(text))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return m
}

func TestStampVia(t *testing.T) {
	t.Parallel()
	src := netip.MustParseAddrPort("10.0.0.1:7777")
	tests := map[string]struct{ params, want string }{
		"same host":            {"", ""},
		"rport":                {";rport", ";rport=7777;received=10.0.0.1"},
		"rport in the middle":  {";rport;x=1", ";rport=7777;x=1;received=10.0.0.1"},
		"rport with value":     {";rport=1", ";rport=7777;received=10.0.0.1"},
		"false received":       {";received=9.9.9.9", ";received=10.0.0.1"},
		"false received, port": {";received=9.9.9.9;rport", ";received=10.0.0.1;rport=7777"},
		"white space":          {" ; rport = ; x", " ; rport=7777 ; x;received=10.0.0.1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := parse(t, strings.Replace(request, "%s", tt.params, 1))
			var e wire.Edits
			m.StampVia(&e, src)
			if got, want := string(e.Apply(m.Raw)), strings.Replace(request, "%s", tt.want, 1); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestEditsChangeNothingElse(t *testing.T) {
	t.Parallel()
	text := strings.Replace(request, "%s", "", 1)
	m := parse(t, text)
	var e wire.Edits
	m.SetBody(&e, wire.Span{Start: m.Body.Start + 1, End: m.Body.Start + 2}, "BBBBBBBBB")
	route, _ := m.First(wire.Route)
	e.Delete(m.ElementEdit(route, 1))
	m.SetMaxForwards(&e)
	e.Insert(m.HeadersAt(), "Via: new\r\n")
	want := strings.NewReplacer("SIP/2.0\r\nVia", "SIP/2.0\r\nVia: new\r\nVia", "<sip:x;lr>, ", "", "70", "69", "Length: 3", "Length: 11",
		"abc", "aBBBBBBBBBc").Replace(text)
	if got := string(e.Apply(m.Raw)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var whole wire.Edits
	whole.Delete(m.ElementEdit(route, 2))
	if got := string(whole.Apply(m.Raw)); strings.Contains(got, "Route") {
		t.Errorf("the route line is still there: %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, folder := range []string{"messages", "rfc5118"} {
		for _, b := range corpus(f, folder) {
			f.Add(b)
			f.Add(asSent(b))
		}
	}
	src := netip.MustParseAddrPort("[2001:db8::7]:5999")
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wire.Parse(b)
		if err != nil {
			return
		}
		var none wire.Edits
		if got := none.Apply(m.Raw); string(got) != string(m.Raw) {
			t.Fatal("a message without edits changed")
		}
		for _, field := range m.Fields {
			if s := field.Value; s.Start < field.Line.Start || s.End > field.Line.End || s.Start > s.End {
				t.Fatalf("field value %+v outside of its line %+v", s, field.Line)
			}
		}
		var e wire.Edits
		e.Insert(m.HeadersAt(), "Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKx\r\n")
		if m.IsRequest() {
			m.SetMaxForwards(&e)
			m.StampVia(&e, src)
		}
		if m.Body.End > m.Body.Start {
			m.SetBody(&e, wire.Span{Start: m.Body.Start, End: m.Body.Start + 1}, "long")
		}
		out := e.Apply(m.Raw)
		if len(out) > wire.MaxMessageBytes {
			return
		}
		again, err := wire.Parse(out)
		if err != nil {
			t.Fatalf("edited message does not parse: %v\n%q", err, out)
		}
		if again.CallID != m.CallID || again.From.Tag != m.From.Tag || again.To.Tag != m.To.Tag || again.Sequence != m.Sequence ||
			len(again.BodyBytes()) != len(m.BodyBytes())+3*min(1, len(m.BodyBytes())) {
			t.Fatalf("edited message differs: %q", out)
		}
		var pop wire.Edits
		again.PopVia(&pop)
		if back, err := wire.Parse(pop.Apply(out)); err != nil || back.TopVia.Branch != m.TopVia.Branch {
			t.Fatalf("popped message differs: %v", err)
		}
	})
}

func FuzzFrameLength(f *testing.F) {
	for _, b := range corpus(f, "messages") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := wire.FrameLength(b)
		if n < 0 || n > len(b) || err != nil && n != 0 {
			t.Fatalf("n = %d of %d, %v", n, len(b), err)
		}
		if n == 0 {
			return
		}
		if again, err := wire.FrameLength(b[:n]); err != nil || again != n {
			t.Fatalf("the framed message alone gives %d, %v; want %d", again, err, n)
		}
		if n > 1 {
			if short, err := wire.FrameLength(b[:n-1]); err != nil || short != 0 {
				t.Fatalf("one octet less gives %d, %v", short, err)
			}
		}
	})
}
