package sipevent

import (
	"bytes"
	"mime"
	"strings"
)

// WithoutContent returns a SIP message without what is content of a communication in
// its body, as a signalling-only warrant wants it (TS 102 232-5 clause 5.2.6): the
// text of a MESSAGE, pictures, SMS, keys pressed in INFO. What describes the session
// or the place stays: session descriptions, PIDF, dialog information. Headers stay as
// they came, so Content-Length tells what was there. The result aliases msg if nothing
// was cut.
func WithoutContent(msg []byte) []byte {
	end := bytes.Index(msg, []byte("\r\n\r\n"))
	if bare := bareEnd(msg); bare > 0 && (end < 0 || bare < end) {
		return msg[:bare:bare]
	}
	if end < 0 || end+4 == len(msg) {
		return msg
	}
	head, body := msg[:end+2], msg[end+4:]
	_, headers, _ := bytes.Cut(head, []byte("\r\n"))
	method := cseqMethod(headers)
	kind := string(header(headers, "content-type", "c"))
	media, params, err := mime.ParseMediaType(kind)
	switch {
	case method == "MESSAGE", err != nil, several(headers): // of a body without a readable type nobody can say what it is
		return msg[: end+4 : end+4]
	case strings.HasPrefix(media, "multipart/"):
		kept := withoutParts(body, params["boundary"])
		if kept == nil {
			return msg[: end+4 : end+4]
		}
		return append(msg[:end+4:end+4], kept...)
	case isContent(media), media == "message/sipfrag" && bytes.Contains(body, []byte("\n\r\n")):
		return msg[: end+4 : end+4]
	}
	return msg
}

// several reports whether the type of a body is told more than once: nobody knows which
// counts.
func several(headers []byte) bool {
	n := 0
	for line := range bytes.Lines(headers) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		name = bytes.TrimSpace(name)
		if bytes.EqualFold(name, []byte("content-type")) || bytes.EqualFold(name, []byte("c")) {
			n++
		}
	}
	return n > 1
}

// isContent tells content from what belongs to signalling. What is not known to belong
// to signalling is content.
func isContent(media string) bool {
	switch media {
	case "application/sdp", "application/pidf+xml", "application/reginfo+xml", "application/dialog-info+xml", "application/conference-info+xml",
		"application/resource-lists+xml", "application/simple-message-summary", "application/isup", "application/qsig", "application/media_control+xml",
		"application/vnd.etsi.aoc+xml", "application/vnd.etsi.cug+xml", "application/vnd.etsi.mcid+xml", "application/vnd.3gpp.ims+xml", "message/sipfrag":
		return false
	}
	return true
}

// withoutParts empties those parts of a multipart body that are content; nil = the
// body cannot be read.
func withoutParts(body []byte, boundary string) []byte {
	if boundary == "" {
		return nil
	}
	delimiter := []byte("--" + boundary)
	pieces := bytes.Split(body, delimiter)
	if len(pieces) < 3 {
		return nil
	}
	out := append([]byte(nil), pieces[0]...)
	if len(bytes.TrimSpace(out)) > 0 { // a preamble is nobody's signalling
		out = out[:0]
	}
	for _, piece := range pieces[1:] {
		out = append(out, delimiter...)
		if bytes.HasPrefix(piece, []byte("--")) {
			return append(out, "--\r\n"...)
		}
		head, _, ok := bytes.Cut(piece, []byte("\r\n\r\n"))
		media, _, err := mime.ParseMediaType(string(header(append(bytes.TrimPrefix(head, []byte("\r\n")), "\r\n"...), "content-type", "c")))
		if !ok || bareEnd(head) > 0 {
			out = append(out, "\r\n\r\n"...)
			continue
		}
		if err != nil || isContent(media) || media == "message/sipfrag" {
			out = append(append(out, head...), "\r\n\r\n\r\n"...)
			continue
		}
		out = append(out, piece...)
	}
	return nil // no end: nobody knows what follows
}

// bareEnd is where headers end at an empty line that is not CRLF CRLF; 0 = nowhere.
func bareEnd(b []byte) int {
	for i := range b {
		if rest := b[i+1:]; b[i] == '\n' && (bytes.HasPrefix(rest, []byte("\n")) || bytes.HasPrefix(rest, []byte("\r\n")) && (i == 0 || b[i-1] != '\r')) {
			return i + 1
		}
	}
	return 0
}
