package sdp

import (
	"bytes"
	"mime"
	"strings"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// FindPart returns where the session description stands in a body of that content
// type: the whole body of application/sdp, or the first such part of a multipart
// body (RFC 2046 clause 5.1).
func FindPart(contentType string, body []byte) (wire.Span, bool) {
	contentType = strings.NewReplacer("\r", " ", "\n", " ").Replace(contentType)
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return wire.Span{}, false
	}
	whole := wire.Span{Start: 0, End: len(body)}
	if kind == "application/sdp" {
		return whole, len(body) > 0
	}
	boundary := params["boundary"]
	if !strings.HasPrefix(kind, "multipart/") || boundary == "" {
		return wire.Span{}, false
	}
	return findIn(body, []byte("--"+boundary))
}

func findIn(body, delimiter []byte) (wire.Span, bool) {
	at := nextDelimiter(body, delimiter, 0)
	for at >= 0 {
		eol := bytes.Index(body[at:], []byte("\r\n"))
		if eol < 0 || bytes.HasPrefix(body[at+len(delimiter):], []byte("--")) {
			return wire.Span{}, false
		}
		begin := at + eol + 2
		end := nextDelimiter(body, delimiter, begin)
		if end < 0 {
			return wire.Span{}, false
		}
		content := wire.Span{Start: begin, End: max(end-2, begin)} // the CRLF before a delimiter belongs to it
		if part, ok := sdpContent(body, content); ok {
			return part, true
		}
		at = end
	}
	return wire.Span{}, false
}

// nextDelimiter finds the delimiter at the start of a line.
func nextDelimiter(body, delimiter []byte, from int) int {
	for at := from; ; {
		n := bytes.Index(body[at:], delimiter)
		if n < 0 {
			return -1
		}
		at += n
		if at == 0 || at == from || at >= 2 && body[at-2] == '\r' && body[at-1] == '\n' {
			return at
		}
		at++
	}
}

// sdpContent returns the content of a part whose headers say application/sdp.
func sdpContent(body []byte, part wire.Span) (wire.Span, bool) {
	b := body[part.Start:part.End]
	head := bytes.Index(b, []byte("\r\n\r\n"))
	if head < 0 {
		return wire.Span{}, false
	}
	for line := range strings.SplitSeq(string(b[:head]), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(strings.TrimSpace(name), "content-type") {
			continue
		}
		if kind, _, err := mime.ParseMediaType(value); err == nil && kind == "application/sdp" {
			return wire.Span{Start: part.Start + head + 4, End: part.End}, head+4 < len(b)
		}
	}
	return wire.Span{}, false
}
