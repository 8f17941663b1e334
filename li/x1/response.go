package x1

import (
	"encoding/xml"
	"strings"
	"time"

	"github.com/ligate/ligate/li"
)

const acknowledgedAndCompleted = "AcknowledgedAndCompleted"

// EncodeResponses writes one X1Response.
func EncodeResponses(responses []Response) ([]byte, error) {
	if len(responses) == 0 {
		return nil, ErrBody
	}
	w := &writer{}
	var err error
	doc := w.document("X1Response", func() {
		for _, r := range responses {
			if e := w.response(r); e != nil {
				err = e
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if len(doc) > MaxResponseBytes {
		return nil, ErrTooLarge
	}
	return doc, nil
}

// EncodeTopLevelError writes the answer to a request that could not be read at all
// (clause 6.7). It names both sides as the answering side knows them.
func EncodeTopLevelError(admf, ne string, at time.Time) ([]byte, error) {
	if !validIdentifier(admf) || !validIdentifier(ne) || !validTime(at.UTC()) {
		return nil, ErrHeader
	}
	w := &writer{}
	return w.document("X1TopLevelErrorResponse", func() {
		w.text("admfIdentifier", admf)
		w.text("neIdentifier", ne)
		w.text("messageTimestamp", formatTime(at))
		w.text("version", Version)
	}), nil
}

func (w *writer) response(r Response) error {
	if !r.valid() {
		return ErrHeader
	}
	if r.Answer == nil || r.Answer.Answers() == 0 || r.Answer.Answers() > KindExtended {
		return ErrBody
	}
	typ := r.Answer.Answers().String() + "Response"
	if _, refused := r.Answer.(*Error); refused {
		typ = "ErrorResponse"
	}
	var err error
	w.typed("x1ResponseMessage", typ, func() {
		w.header(r.Header)
		switch a := r.Answer.(type) {
		case OK:
			err = w.ok(a)
		case TaskDetails:
			err = w.taskResponse(a.Task)
		case AllDetails:
			err = w.allDetails(a)
		case *Error:
			err = w.errorInformation(a)
		default:
			err = ErrBody
		}
	})
	return err
}

func (w *writer) ok(a OK) error {
	if !okKind(a.Of) {
		return ErrBody
	}
	w.text("oK", acknowledgedAndCompleted)
	return nil
}

// okKind reports whether the request is answered by nothing but oK, of those that
// we write or read.
func okKind(k Kind) bool {
	switch k { //nolint:exhaustive // a choice of five
	case KindActivateTask, KindDeactivateTask, KindPing, KindKeepalive, KindReportTaskIssue:
		return true
	}
	return false
}

func (w *writer) taskResponse(task li.Task) error {
	if task == nil {
		return ErrTask
	}
	var err error
	w.el("taskResponseDetails", func() {
		err = w.writeTask(task)
		w.el("taskStatus", func() {
			w.text("provisioningStatus", "complete")
			w.empty("listOfFaults")
		})
	})
	return err
}

func (w *writer) allDetails(a AllDetails) error {
	w.el("neStatusDetails", func() {
		w.text("neStatus", "OK")
		w.empty("listOfFaults")
	})
	var err error
	w.el("listOfTaskResponseDetails", func() {
		for _, task := range a.Tasks {
			if e := w.taskResponse(task); e != nil {
				err = e
			}
		}
	})
	w.empty("listOfDestinationResponseDetails")
	return err
}

func (w *writer) errorInformation(e *Error) error {
	if e.Code < 0 {
		return ErrBody
	}
	w.text("requestMessageType", e.Of.String())
	w.el("errorInformation", func() {
		w.number("errorCode", e.Code)
		w.text("errorDescription", describe(e.Code))
	})
	return nil
}

// DecodeResponses reads one X1Response. ErrTopLevel means that the peer could not
// read the request.
func DecodeResponses(b []byte) ([]Response, error) {
	if len(b) > MaxResponseBytes {
		return nil, ErrTooLarge
	}
	root, err := parseTree(b)
	if err != nil {
		return nil, err
	}
	switch root.name {
	case xml.Name{Space: nsX1, Local: "X1TopLevelErrorResponse"}:
		return nil, ErrTopLevel
	case xml.Name{Space: nsX1, Local: "X1Response"}:
	default:
		return nil, ErrSyntax
	}
	s := sequence(root)
	if s.bad || len(s.kids) == 0 || len(s.kids) > MaxMessages {
		return nil, ErrSyntax
	}
	var responses []Response
	for len(s.kids) > 0 {
		message := s.want("x1ResponseMessage")
		in := sequence(message)
		h, ok := readHeader(in)
		if !ok || !validVersion(h.Version) {
			return nil, ErrSyntax
		}
		answer, ok := readAnswer(message.typ, in)
		if !ok {
			return nil, ErrSyntax
		}
		responses = append(responses, Response{Header: h, Answer: answer})
	}
	return responses, nil
}

func readAnswer(typ xml.Name, s *seq) (Answer, bool) {
	name, isResponse := strings.CutSuffix(typ.Local, "Response")
	if typ.Space != nsX1 || !isResponse {
		return nil, false
	}
	if name == "Error" {
		return readError(s)
	}
	kind := parseKind(name)
	switch {
	case okKind(kind):
		ok := s.text("oK")
		return OK{Of: kind}, s.done() && (ok == acknowledgedAndCompleted || ok == "Acknowledged")
	case kind == KindGetTaskDetails:
		task, ok := readTaskResponse(s.want("taskResponseDetails"))
		return TaskDetails{Task: task}, ok && s.done()
	case kind == KindGetAllDetails:
		return readAllDetails(s)
	}
	return nil, false
}

func readError(s *seq) (Answer, bool) {
	kind := parseKind(s.text("requestMessageType"))
	info := sequence(s.want("errorInformation"))
	n := info.want("errorCode")
	info.text("errorDescription")
	s.opt("extensionInformation")
	if !info.done() || !s.done() {
		return nil, false
	}
	code, ok := readCode(n)
	return &Error{Of: kind, Code: code}, ok
}

// readTaskResponse reads the details and skips the status, on which we do not act.
func readTaskResponse(n *node) (li.Task, bool) {
	s := sequence(n)
	details := s.want("taskDetails")
	s.want("taskStatus")
	if !s.done() {
		return nil, false
	}
	return readForeignTask(details)
}

func readAllDetails(s *seq) (Answer, bool) {
	s.want("neStatusDetails")
	list := sequence(s.want("listOfTaskResponseDetails"))
	s.want("listOfDestinationResponseDetails")
	s.opt("listOfGenericObjectResponseDetails")
	if !s.done() || list.bad {
		return nil, false
	}
	var all AllDetails
	for len(list.kids) > 0 {
		task, ok := readTaskResponse(list.want("taskResponseDetails"))
		if !ok {
			return nil, false
		}
		all.Tasks = append(all.Tasks, task)
	}
	return all, true
}
