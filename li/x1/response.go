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
			err = w.taskResponse(a)
		case DestinationDetails:
			err = w.destinationResponse(a)
		case AllDetails:
			err = w.allDetails(a)
		case NEStatus:
			w.neStatus(a.Faults)
		case AllTaskDetails:
			err = w.tasks(a.Tasks)
		case AllDestinationDetails:
			err = w.destinations(a.Destinations)
		case AllIdentifiers:
			w.identifiers(a)
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
	switch k { //nolint:exhaustive // those that only do something
	case KindActivateTask, KindModifyTask, KindDeactivateTask, KindDeactivateAllTasks, KindCreateDestination, KindModifyDestination,
		KindRemoveDestination, KindRemoveAllDestinations, KindPing, KindKeepalive, KindReportTaskIssue, KindReportDestinationIssue, KindReportNEIssue:
		return true
	}
	return false
}

func (w *writer) allDetails(a AllDetails) error {
	w.neStatus(a.Faults)
	if err := w.tasks(a.Tasks); err != nil {
		return err
	}
	return w.destinations(a.Destinations)
}

func (w *writer) neStatus(faults []int) {
	w.el("neStatusDetails", func() {
		status := "OK"
		if len(faults) > 0 {
			status = "Faults"
		}
		w.text("neStatus", status)
		w.faults(faults)
	})
}

func (w *writer) faults(codes []int) {
	if len(codes) == 0 {
		w.empty("listOfFaults")
		return
	}
	w.el("listOfFaults", func() {
		for _, code := range codes {
			w.el("unresolvedFault", func() {
				w.number("errorCode", code)
				w.text("errorDescription", describe(code))
			})
		}
	})
}

func (w *writer) tasks(tasks []TaskDetails) error {
	var err error
	w.el("listOfTaskResponseDetails", func() {
		for _, task := range tasks {
			if e := w.taskResponse(task); e != nil {
				err = e
			}
		}
	})
	return err
}

func (w *writer) destinations(all []DestinationDetails) error {
	var err error
	w.el("listOfDestinationResponseDetails", func() {
		for _, d := range all {
			if e := w.destinationResponse(d); e != nil {
				err = e
			}
		}
	})
	return err
}

func (w *writer) identifiers(a AllIdentifiers) {
	w.el("ListOfXIDs", func() {
		for _, xid := range a.XIDs {
			w.text("xId", xid.String())
		}
	})
	w.el("ListOfDIDs", func() {
		for _, did := range a.DIDs {
			w.text("dId", did.String())
		}
	})
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
		return task, ok && s.done()
	case kind == KindGetDestinationDetails:
		d, ok := readDestinationResponse(s.want("destinationResponseDetails"))
		return d, ok && s.done()
	}
	return readListing(kind, s)
}

// readListing reads the answers that are about the element as a whole.
func readListing(kind Kind, s *seq) (Answer, bool) {
	var answer Answer
	var ok bool
	switch kind { //nolint:exhaustive // the others have no such answer
	case KindGetAllDetails:
		return readAllDetails(s)
	case KindGetNEStatus:
		var faults []int
		faults, ok = readNEStatus(s.want("neStatusDetails"))
		answer = NEStatus{Faults: faults}
	case KindGetAllTaskDetails:
		var tasks []TaskDetails
		tasks, ok = readList(s.opt("listOfTaskResponseDetails"), "taskResponseDetails", readTaskResponse)
		answer = AllTaskDetails{Tasks: tasks}
	case KindGetAllDestinationDetails:
		var all []DestinationDetails
		all, ok = readList(s.opt("listOfDestinationResponseDetails"), "destinationResponseDetails", readDestinationResponse)
		answer = AllDestinationDetails{Destinations: all}
	case KindListAllDetails:
		answer, ok = readIdentifiers(s)
	}
	return answer, ok && s.done()
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

// readList reads the children of a list, which may be missing.
func readList[T any](n *node, name string, read func(*node) (T, bool)) ([]T, bool) {
	if n == nil {
		return nil, true
	}
	list := sequence(n)
	var all []T
	for !list.bad && len(list.kids) > 0 {
		item, ok := read(list.want(name))
		if !ok {
			return nil, false
		}
		all = append(all, item)
	}
	return all, !list.bad
}

func readTaskResponse(n *node) (TaskDetails, bool) {
	s := sequence(n)
	details := s.want("taskDetails")
	status, ok := readStatus(s.want("taskStatus"))
	if !s.done() || !ok {
		return TaskDetails{}, false
	}
	task, ok := readReported(details)
	task.Status = status
	return task, ok
}

func readAllDetails(s *seq) (Answer, bool) {
	var all AllDetails
	var okNE, okTasks, okDestinations bool
	all.Faults, okNE = readNEStatus(s.want("neStatusDetails"))
	tasks, destinations := s.want("listOfTaskResponseDetails"), s.want("listOfDestinationResponseDetails")
	s.opt("listOfGenericObjectResponseDetails")
	if !s.done() || !okNE {
		return nil, false
	}
	all.Tasks, okTasks = readList(tasks, "taskResponseDetails", readTaskResponse)
	all.Destinations, okDestinations = readList(destinations, "destinationResponseDetails", readDestinationResponse)
	return all, okTasks && okDestinations
}

func readIdentifiers(s *seq) (Answer, bool) {
	var all AllIdentifiers
	xids, ok := readList(s.want("ListOfXIDs"), "xId", func(n *node) (li.XID, bool) {
		xid, err := li.ParseXID(n.trimmed())
		return xid, err == nil && n.leaf()
	})
	dids, code := readDIDs(s.want("ListOfDIDs"))
	s.opt("ListOfGenericObjectIDs")
	all.XIDs, all.DIDs = xids, dids
	return all, ok && code == 0 && !s.bad
}
