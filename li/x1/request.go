package x1

import (
	"encoding/xml"
	"strconv"
	"strings"

	"github.com/ligate/ligate/li"
)

// MaxMessages bounds the requests in one X1Request.
const MaxMessages = 64

// EncodeRequests writes one X1Request.
func EncodeRequests(reqs []Request) ([]byte, error) {
	if len(reqs) == 0 || len(reqs) > MaxMessages {
		return nil, ErrBody
	}
	w := &writer{}
	var err error
	doc := w.document("X1Request", func() {
		for _, r := range reqs {
			if e := w.request(r); e != nil {
				err = e
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if len(doc) > MaxRequestBytes {
		return nil, ErrTooLarge
	}
	return doc, nil
}

func (w *writer) request(r Request) error {
	if r.Body == nil {
		return ErrBody
	}
	if !r.valid() {
		return ErrHeader
	}
	var err error
	w.typed("x1RequestMessage", r.Body.Kind().String()+"Request", func() {
		w.header(r.Header)
		switch b := r.Body.(type) {
		case ActivateTask:
			err = w.writeTask(b)
		case ModifyTask:
			err = w.writeTask(ActivateTask(b))
		case DeactivateTask:
			w.text("xId", b.XID.String())
		case GetTaskDetails:
			w.text("xId", b.XID.String())
		case CreateDestination:
			err = w.destination(b.Destination)
		case ModifyDestination:
			err = w.destination(b.Destination)
		case RemoveDestination:
			w.text("dId", b.DID.String())
		case GetDestinationDetails:
			w.text("dId", b.DID.String())
		case DeactivateAllTasks, RemoveAllDestinations, GetNEStatus, GetAllDetails, ListAllDetails, GetAllTaskDetails,
			GetAllDestinationDetails, Ping, Keepalive:
		case ReportTaskIssue, ReportDestinationIssue, ReportNEIssue:
			err = w.issue(b)
		default:
			err = ErrBody
		}
	})
	return err
}

// issue writes one of the three reports.
func (w *writer) issue(b Body) error {
	code, valid := 0, false
	switch b := b.(type) {
	case ReportTaskIssue:
		code, valid = b.Code, b.Report > 0 && b.Report <= FullyActionedAndUnsuccessful
		w.text("xId", b.XID.String())
		w.text("taskReportType", b.Report.String())
		w.code("taskIssueErrorCode", code)
	case ReportDestinationIssue:
		code, valid = b.Code, b.Report > 0 && b.Report <= FullyActionedAndUnsuccessful
		w.text("dId", b.DID.String())
		w.text("destinationReportType", b.Report.String())
		w.code("destinationIssueErrorCode", code)
	case ReportNEIssue:
		code, valid = b.Code, b.Issue > 0 && b.Issue <= NEAlert
		w.text("typeOfNeIssueMessage", b.Issue.String())
		w.text("description", describe(b.Code))
		w.code("issueCode", code)
	}
	if !valid || code < 0 {
		return ErrBody
	}
	return nil
}

func (w *writer) code(name string, code int) {
	if code != 0 {
		w.number(name, code)
	}
}

// DecodeRequests reads one X1Request. An error means that nothing in it can be
// answered but by a top-level error; a single message that cannot be honoured
// comes as Refused. So does a Task without an end of its own.
func DecodeRequests(b []byte) ([]Request, error) { return decodeRequests(b, false) }

// decodeRequests reads Tasks without an end too where bare says so.
func decodeRequests(b []byte, bare bool) ([]Request, error) {
	if len(b) > MaxRequestBytes {
		return nil, ErrTooLarge
	}
	root, err := parseTree(b)
	if err != nil {
		return nil, err
	}
	if root.name != (xml.Name{Space: nsX1, Local: "X1Request"}) {
		return nil, ErrSyntax
	}
	s := sequence(root)
	if s.bad || len(s.kids) == 0 || len(s.kids) > MaxMessages {
		return nil, ErrSyntax
	}
	reqs := make([]Request, 0, len(s.kids))
	for len(s.kids) > 0 {
		message := s.want("x1RequestMessage")
		if message == nil {
			return nil, ErrSyntax
		}
		in := sequence(message)
		h, ok := readHeader(in)
		if !ok {
			return nil, ErrSyntax
		}
		reqs = append(reqs, Request{Header: h, Body: readBody(message.typ, h, in, bare)})
	}
	return reqs, nil
}

// readBody reads what follows the header.
func readBody(typ xml.Name, h Header, s *seq, bare bool) Body {
	name, isRequest := strings.CutSuffix(typ.Local, "Request")
	kind := KindExtended
	if typ.Space == nsX1 && isRequest {
		kind = parseKind(name)
	}
	if !validVersion(h.Version) {
		return Refused{Of: kind, Code: CodeVersion}
	}
	body, code := readKind(kind, s, bare)
	if code == 0 && !s.done() {
		code = CodeSyntax
	}
	if code != 0 {
		return Refused{Of: kind, Code: code}
	}
	return body
}

func readKind(kind Kind, s *seq, bare bool) (Body, int) {
	switch kind { //nolint:exhaustive // the others are unsupported alike, kinds yet to come too
	case KindActivateTask, KindModifyTask:
		task, code := readTask(s.want("taskDetails"))
		if code == 0 && task.Bare && !bare {
			code = CodeActivateFailed
		}
		if kind == KindModifyTask {
			return ModifyTask(task), code
		}
		return task, code
	case KindDeactivateTask:
		xid, code := readXID(s)
		return DeactivateTask{XID: xid}, code
	case KindGetTaskDetails:
		xid, code := readXID(s)
		return GetTaskDetails{XID: xid}, code
	case KindCreateDestination, KindModifyDestination, KindRemoveDestination, KindGetDestinationDetails:
		return readDestinationKind(kind, s)
	case KindReportTaskIssue, KindReportDestinationIssue, KindReportNEIssue:
		return readIssue(kind, s)
	}
	for _, empty := range emptyBodies() {
		if empty.Kind() == kind {
			return empty, 0
		}
	}
	return nil, CodeUnsupported
}

func emptyBodies() []Body {
	return []Body{
		DeactivateAllTasks{},
		RemoveAllDestinations{},
		GetNEStatus{},
		GetAllDetails{},
		ListAllDetails{},
		GetAllTaskDetails{},
		GetAllDestinationDetails{},
		Ping{},
		Keepalive{},
	}
}

func readDestinationKind(kind Kind, s *seq) (Body, int) {
	if kind == KindCreateDestination || kind == KindModifyDestination {
		d, code := readDestination(s.want("destinationDetails"))
		if kind == KindCreateDestination {
			return CreateDestination{Destination: d}, code
		}
		return ModifyDestination{Destination: d}, code
	}
	did, err := ParseDID(s.text("dId"))
	switch {
	case err != nil:
		return nil, CodeSyntax
	case kind == KindRemoveDestination:
		return RemoveDestination{DID: did}, 0
	}
	return GetDestinationDetails{DID: did}, 0
}

func readXID(s *seq) (li.XID, int) {
	xid, err := li.ParseXID(s.text("xId"))
	if err != nil {
		return li.XID{}, CodeSyntax
	}
	return xid, 0
}

// readIssue reads one of the three reports. Free text is of no use to a machine.
func readIssue(kind Kind, s *seq) (Body, int) {
	var body Body
	var valid bool
	switch kind { //nolint:exhaustive // one of three
	case KindReportNEIssue:
		issue, ok := parseIssue(s.text("typeOfNeIssueMessage"))
		s.text("description")
		code, okCode := readIssueCode(s, "issueCode")
		body, valid = ReportNEIssue{Issue: issue, Code: code}, ok && okCode
		skip(s, "nEIssueExtensions")
	case KindReportDestinationIssue:
		did, err := ParseDID(s.text("dId"))
		report, ok := parseReport(s.text("destinationReportType"))
		code, okCode := readIssueCode(s, "destinationIssueErrorCode")
		body, valid = ReportDestinationIssue{DID: did, Report: report, Code: code}, err == nil && ok && okCode
		s.opt("destinationIssueDetails")
	default:
		xid, code := readXID(s)
		report, ok := parseReport(s.text("taskReportType"))
		number, okCode := readIssueCode(s, "taskIssueErrorCode")
		body, valid = ReportTaskIssue{XID: xid, Report: report, Code: number}, code == 0 && ok && okCode
		s.opt("taskIssueDetails")
		skip(s, "taskIssueExtensions")
	}
	if !valid {
		return nil, CodeSyntax
	}
	return body, 0
}

func skip(s *seq, name string) {
	for s.opt(name) != nil {
	}
}

func readIssueCode(s *seq, name string) (int, bool) {
	n := s.opt(name)
	if n == nil {
		return 0, true
	}
	return readCode(n)
}

// readCode reads an error code; ours are positive and small.
func readCode(n *node) (int, bool) {
	if !n.leaf() || !digits(n.trimmed()) || len(n.trimmed()) > 6 {
		return 0, false
	}
	code, err := strconv.Atoi(n.trimmed())
	return code, err == nil
}
