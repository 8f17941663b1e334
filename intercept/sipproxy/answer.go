package sipproxy

import (
	"fmt"
	"net/netip"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// answer makes a response of the proxy's own to a request that came from src
// (RFC 3261 clause 8.2.6). A tag is given to To where it has none and the status
// is above 100. extra is header lines with CRLF.
func answer(m *wire.Message, src netip.AddrPort, status int, reason, tag, extra string) []byte {
	var e wire.Edits
	m.StampVia(&e, src)
	if to, ok := m.First(wire.To); ok && m.To.Tag == "" && status > 100 {
		e.Insert(to.Value.End, ";tag="+tag)
	}
	out := fmt.Appendf(make([]byte, 0, len(m.Raw)), "SIP/2.0 %d %s\r\n", status, reason)
	for _, f := range m.Fields {
		switch f.Header {
		case wire.Via, wire.From, wire.To, wire.CallID, wire.CSeq:
			out = e.AppendRange(out, m.Raw, f.Line)
		case wire.Timestamp:
			if status == 100 {
				out = e.AppendRange(out, m.Raw, f.Line)
			}
		default:
		}
	}
	out = append(out, extra...)
	return append(out, "Content-Length: 0\r\n\r\n"...)
}

// reasonOf is the phrase of a status that the proxy itself gives.
func reasonOf(status int) string {
	switch status {
	case 100:
		return "Trying"
	case 200:
		return "OK"
	case 400:
		return "Bad Request"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 408:
		return "Request Timeout"
	case 416:
		return "Unsupported URI Scheme"
	case 420:
		return "Bad Extension"
	case 480:
		return "Temporarily Unavailable"
	case 481:
		return "Call/Transaction Does Not Exist"
	case 482:
		return "Loop Detected"
	case 483:
		return "Too Many Hops"
	case 487:
		return "Request Terminated"
	case 503:
		return "Service Unavailable"
	case 505:
		return "Version Not Supported"
	}
	return "Server Internal Error"
}

// hopByHop makes the ACK to a failure or the CANCEL of a request that the proxy
// forwarded (RFC 3261 clauses 9.1, 17.1.1.3). to is the To line of the response,
// or empty; extra is header lines with CRLF.
func hopByHop(forwarded []byte, method, to, extra string) []byte {
	m, err := wire.Parse(forwarded)
	if err != nil {
		return nil // cannot be: the proxy made it from a message that parsed
	}
	out := fmt.Appendf(make([]byte, 0, 512), "%s %s SIP/2.0\r\n", method, m.Text(m.URI))
	out = fmt.Appendf(out, "Via: %s\r\n", m.Text(m.TopVia.Span))
	for _, f := range m.Fields {
		switch f.Header {
		case wire.Route, wire.From, wire.CallID:
			out = append(out, m.Raw[f.Line.Start:f.Line.End]...)
		case wire.To:
			if to == "" {
				to = m.Text(f.Line)
			}
			out = append(out, to...)
		default:
		}
	}
	out = fmt.Appendf(out, "CSeq: %d %s\r\nMax-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n", m.Sequence, method, extra)
	return out
}

// fieldLine returns the first field's line, empty when the message has none.
func fieldLine(m *wire.Message, h wire.Header) string {
	f, ok := m.First(h)
	if !ok {
		return ""
	}
	return m.Text(f.Line)
}
