package sipevent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
)

// Errors of this package.
var (
	ErrMessage = errors.New("sipevent: not a SIP message")
	ErrEvent   = errors.New("sipevent: not an encoded event")
)

// otherMethod stands for every method that the classifier does not know.
const otherMethod = "OTHER"

// Classify reads the start line, CSeq and To of one SIP message. confirmed says
// that the dialog has had its 2xx already: a failed re-INVITE does not end it.
func Classify(msg []byte, confirmed bool) (Event, error) {
	line, rest, ok := bytes.Cut(msg, []byte("\r\n"))
	if !ok {
		return Event{}, ErrMessage
	}
	if status, isResponse := statusOf(line); isResponse {
		if status == 0 {
			return Event{}, ErrMessage
		}
		method := cseqMethod(rest)
		return Event{Stage: responseStage(method, status, confirmed), Method: method, Status: status}, nil
	}
	name, _, ok := bytes.Cut(line, []byte(" "))
	if !ok || !bytes.HasSuffix(line, []byte(" SIP/2.0")) {
		return Event{}, ErrMessage
	}
	method := known(string(name))
	return Event{Stage: requestStage(method, hasToTag(rest)), Method: method}, nil
}

func requestStage(method string, inDialog bool) Stage {
	switch method {
	case "INVITE":
		if !inDialog {
			return Begin
		}
	case "REGISTER", "PUBLISH": // never in a dialog, whatever the To header says
		return Report
	case "ACK", "CANCEL":
	default:
		if !inDialog {
			return Report
		}
	}
	return Continue
}

// responseStage cannot look at the To header: nearly every response has a tag
// there. A method that may stand alone is a report unless the call is up.
func responseStage(method string, status int, confirmed bool) Stage {
	switch method {
	case "INVITE":
		if status >= 300 && !confirmed && !retried(status) {
			return End
		}
	case "BYE":
		if status >= 200 && !retried(status) {
			return End
		}
	case "REGISTER", "PUBLISH":
		return Report
	case "MESSAGE", "OPTIONS", "SUBSCRIBE", "REFER", "NOTIFY", otherMethod:
		if !confirmed {
			return Report
		}
	}
	return Continue
}

// retried reports whether the sender is asked for credentials and tries again.
func retried(status int) bool { return status == 401 || status == 407 }

// statusOf reads a status line; status 0 is a malformed one.
func statusOf(line []byte) (status int, isResponse bool) {
	rest, ok := bytes.CutPrefix(line, []byte("SIP/2.0 "))
	if !ok {
		return 0, false
	}
	code, _, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.Atoi(string(code))
	if err != nil || len(code) != 3 || n < 100 || n > 699 {
		return 0, true
	}
	return n, true
}

func known(method string) string {
	switch method {
	case "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY",
		"SUBSCRIBE", "MESSAGE", "PUBLISH":
		return method
	}
	return otherMethod
}

func cseqMethod(headers []byte) string {
	fields := bytes.Fields(header(headers, "cseq", ""))
	if len(fields) != 2 {
		return otherMethod
	}
	return known(string(fields[1]))
}

// hasToTag reports whether the To header has a tag parameter. White space around
// ";" and "=" is legal, and what a quoted string says does not count.
func hasToTag(headers []byte) bool {
	params := outside(header(headers, "to", "t"))
	for i, param := range bytes.Split(params, []byte(";")) {
		name, _, ok := bytes.Cut(param, []byte("="))
		if i > 0 && ok && bytes.EqualFold(bytes.TrimSpace(name), []byte("tag")) {
			return true
		}
	}
	return false
}

// outside returns b without its quoted strings and its <URI>.
func outside(b []byte) []byte {
	if bytes.IndexByte(b, '"') < 0 && bytes.IndexByte(b, '<') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	var quoted, angle bool
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case !angle && c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case !angle:
			out = append(out, c)
		}
	}
	return out
}

// header returns the first header of that name or compact name, unfolded lines
// included.
func header(headers []byte, name, compact string) []byte {
	for len(headers) > 0 {
		var line []byte
		line, headers, _ = bytes.Cut(headers, []byte("\r\n"))
		if len(line) == 0 {
			return nil
		}
		for len(headers) > 0 && (headers[0] == ' ' || headers[0] == '\t') {
			var more []byte
			more, headers, _ = bytes.Cut(headers, []byte("\r\n"))
			line = append(line[:len(line):len(line)], more...)
		}
		key, value, ok := bytes.Cut(line, []byte(":"))
		key = bytes.TrimSpace(key)
		if ok && (bytes.EqualFold(key, []byte(name)) || compact != "" && bytes.EqualFold(key, []byte(compact))) {
			return bytes.TrimSpace(value)
		}
	}
	return nil
}

// AppendEvent appends the wire form: stage, status (2 octets), method.
func AppendEvent(dst []byte, e Event) []byte {
	dst = append(dst, byte(e.Stage))
	dst = binary.BigEndian.AppendUint16(dst, uint16(e.Status))
	return append(dst, e.Method...)
}

// DecodeEvent reads what AppendEvent wrote.
func DecodeEvent(b []byte) (Event, error) {
	if len(b) < 4 {
		return Event{}, ErrEvent
	}
	e := Event{Stage: Stage(b[0]), Status: int(binary.BigEndian.Uint16(b[1:])), Method: string(b[3:])}
	if e.Stage < Begin || e.Stage > Report || e.Status != 0 && (e.Status < 100 || e.Status > 699) ||
		e.Method != otherMethod && known(e.Method) == otherMethod && !e.found() {
		return Event{}, ErrEvent
	}
	return e, nil
}

// found reports whether the event is an end that the network element itself found.
func (e Event) found() bool {
	return e.Stage == End && e.Status == 0 && (e.Method == NoMedia || e.Method == Idle)
}
