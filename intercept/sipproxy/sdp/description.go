package sdp

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// maxCrypto is how many a=crypto lines of a stream are read.
const maxCrypto = 8

// MaxMedia is how many media lines are read.
const MaxMedia = 32

// description is where the lines that matter stand.
type description struct {
	body   []byte
	origin wire.Span // the address fields of o=: nettype to the end
	conn   conn      // of the session
	ice    []wire.Span
	oneWay bool // a=sendonly, recvonly or inactive for all streams that do not say
	media  []media
}

// conn is a c= line.
type conn struct {
	line  wire.Span  // with its line end; empty when absent
	value wire.Span  // what follows "c="
	addr  netip.Addr // invalid for a host name or when absent
}

func (c conn) present() bool { return c.line.End > c.line.Start }

// held reports the RFC 2543 way to put a stream on hold.
func (c conn) held() bool { return c.addr.IsValid() && c.addr.IsUnspecified() }

// media is one m= section.
type media struct {
	port    wire.Span
	number  uint16
	proto   string
	connAt  int // where a c= line may be inserted
	conn    conn
	rtcp    wire.Span // value of a=rtcp; empty when absent
	rtcpAt  netip.AddrPort
	hasAddr bool     // a=rtcp names an address
	crypto  []string // values of a=crypto
	flow    string   // a=sendrecv and the like; empty when absent
	ice     []wire.Span
}

// line is one line of a description.
type line struct {
	span  wire.Span // with its line end
	value wire.Span // what follows "x="
	kind  byte
}

func scan(body []byte) (*description, error) {
	d := &description{body: body}
	for at := 0; at < len(body); {
		l, ok := nextLine(body, at)
		if !ok {
			return nil, ErrMalformed
		}
		if at == 0 && (l.kind != 'v' || d.text(l.value) != "0") {
			return nil, ErrMalformed
		}
		at = l.span.End
		if err := d.take(l); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// nextLine reads "x=value" with CRLF, LF, CR or the end after it: some parsers take a
// bare CR as a line end, and nobody may read another address here than we do.
func nextLine(body []byte, at int) (line, bool) {
	end, next := len(body), len(body)
	if n := bytes.IndexAny(body[at:], "\r\n"); n >= 0 {
		end, next = at+n, at+n+1
		if body[end] == '\r' && next < len(body) && body[next] == '\n' {
			next++
		}
	}
	if end == at {
		return line{span: wire.Span{Start: at, End: next}}, true // an empty line at the end is common
	}
	if end < at+2 || body[at+1] != '=' {
		return line{}, false
	}
	return line{span: wire.Span{Start: at, End: next}, value: wire.Span{Start: at + 2, End: end}, kind: body[at]}, true
}

func (d *description) text(s wire.Span) string { return string(d.body[s.Start:s.End]) }

func (d *description) take(l line) error {
	switch l.kind {
	case 'o':
		fields := fieldSpans(d.body, l.value)
		if len(fields) != 6 || !strings.EqualFold(d.text(fields[3]), "IN") {
			return ErrMalformed
		}
		d.origin = wire.Span{Start: fields[3].Start, End: fields[5].End}
	case 'c':
		c := conn{line: l.span, value: l.value, addr: connAddr(d.text(l.value))}
		switch { // a further one would tell another address: it goes with the candidates
		case len(d.media) == 0 && !d.conn.present():
			d.conn = c
		case len(d.media) == 0:
			d.ice = append(d.ice, l.span)
		case !d.last().conn.present():
			d.last().conn = c
		default:
			d.last().ice = append(d.last().ice, l.span)
		}
	case 'm':
		return d.takeMedia(l)
	case 'i':
		if len(d.media) > 0 {
			d.last().connAt = l.span.End
		}
	case 'a':
		return d.attribute(l)
	}
	return nil
}

func (d *description) last() *media { return &d.media[len(d.media)-1] }

func (d *description) takeMedia(l line) error {
	fields := fieldSpans(d.body, l.value)
	if len(fields) < 3 {
		return ErrMalformed
	}
	if len(d.media) == MaxMedia {
		return ErrTooMany
	}
	port := fields[1]
	if slash := bytes.IndexByte(d.body[port.Start:port.End], '/'); slash >= 0 {
		port.End = port.Start + slash
	}
	n, err := strconv.ParseUint(d.text(port), 10, 16)
	if err != nil {
		return ErrMalformed
	}
	d.media = append(d.media, media{port: port, number: uint16(n), proto: strings.ToUpper(d.text(fields[2])), connAt: l.span.End})
	return nil
}

func (d *description) attribute(l line) error {
	name, value, _ := strings.Cut(d.text(l.value), ":")
	switch name {
	case "candidate", "remote-candidates", "ice-ufrag", "ice-pwd", "ice-options", "ice-lite", "ice-mismatch", "ice-pacing", "end-of-candidates":
		if len(d.media) == 0 {
			d.ice = append(d.ice, l.span)
		} else {
			d.last().ice = append(d.last().ice, l.span)
		}
	case "sendrecv", "sendonly", "recvonly", "inactive":
		if len(d.media) > 0 {
			d.last().flow = name
		} else {
			d.oneWay = name != "sendrecv"
		}
	case "crypto":
		if len(d.media) > 0 && len(d.last().crypto) < maxCrypto {
			d.last().crypto = append(d.last().crypto, value)
		}
	case "rtcp":
		if len(d.media) > 0 {
			return d.last().takeRTCP(wire.Span{Start: l.value.Start + len("rtcp:"), End: l.value.End}, value)
		}
	}
	return nil
}

func (m *media) takeRTCP(at wire.Span, value string) error {
	fields := strings.Fields(value)
	if len(fields) != 1 && len(fields) != 4 {
		return ErrMalformed
	}
	port, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil {
		return ErrMalformed
	}
	m.rtcp, m.hasAddr = at, len(fields) == 4
	addr := netip.Addr{}
	if m.hasAddr {
		addr, _ = netip.ParseAddr(fields[3])
	}
	m.rtcpAt = netip.AddrPortFrom(addr, uint16(port))
	return nil
}

// connAddr reads "IN IP4 addr[/ttl[/count]]"; a host name gives no address.
func connAddr(value string) netip.Addr {
	fields := strings.Fields(value)
	if len(fields) != 3 {
		return netip.Addr{}
	}
	text, _, _ := strings.Cut(fields[2], "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func fieldSpans(b []byte, s wire.Span) []wire.Span {
	var spans []wire.Span
	for at := s.Start; at < s.End; {
		for at < s.End && blank(b[at]) {
			at++
		}
		begin := at
		for at < s.End && !blank(b[at]) {
			at++
		}
		if at > begin {
			spans = append(spans, wire.Span{Start: begin, End: at})
		}
	}
	return spans
}

// blank is what some write for the one space between fields (RFC 8866 clause 5).
func blank(c byte) bool { return c == ' ' || c == '\t' }
