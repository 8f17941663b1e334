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
		return Event{Stage: responseStage(method, status, confirmed, hasToTag(rest)), Method: method, Status: status}, nil
	}
	name, _, ok := bytes.Cut(line, []byte(" "))
	if !ok || !bytes.HasSuffix(line, []byte(" SIP/2.0")) {
		return Event{}, ErrMessage
	}
	method := known(string(name))
	return Event{Stage: requestStage(method, hasToTag(rest)), Method: method}, nil
}

func requestStage(method string, inDialog bool) Stage {
	switch {
	case method == "INVITE" && !inDialog:
		return Begin
	case method == "CANCEL" || method == "ACK" || inDialog:
		return Continue
	}
	return Report
}

func responseStage(method string, status int, confirmed, toTag bool) Stage {
	switch method {
	case "INVITE":
		if status >= 300 && !confirmed && status != 401 && status != 407 {
			return End
		}
		return Continue
	case "BYE":
		if status >= 200 && status != 401 && status != 407 {
			return End
		}
		return Continue
	case "REGISTER", "MESSAGE", "OPTIONS", "SUBSCRIBE", "PUBLISH":
		if !confirmed || !toTag {
			return Report
		}
	}
	return Continue
}

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
// ";" and "=" is legal.
func hasToTag(headers []byte) bool {
	to := header(headers, "to", "t")
	if end := bytes.LastIndexByte(to, '>'); end >= 0 {
		to = to[end+1:]
	}
	for i, param := range bytes.Split(to, []byte(";")) {
		name, _, ok := bytes.Cut(param, []byte("="))
		if i > 0 && ok && bytes.EqualFold(bytes.TrimSpace(name), []byte("tag")) {
			return true
		}
	}
	return false
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
		e.Method != otherMethod && known(e.Method) == otherMethod {
		return Event{}, ErrEvent
	}
	return e, nil
}
