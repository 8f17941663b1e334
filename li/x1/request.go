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
			err = w.writeTask(b.Task)
		case DeactivateTask:
			w.text("xId", b.XID.String())
		case GetTaskDetails:
			w.text("xId", b.XID.String())
		case GetAllDetails, Ping, Keepalive:
		case ReportTaskIssue:
			err = w.taskIssue(b)
		default:
			err = ErrBody
		}
	})
	return err
}

func (w *writer) taskIssue(b ReportTaskIssue) error {
	if b.Report == 0 || b.Report > FullyActionedAndUnsuccessful || b.Code < 0 {
		return ErrBody
	}
	w.text("xId", b.XID.String())
	w.text("taskReportType", b.Report.String())
	if b.Code != 0 {
		w.number("taskIssueErrorCode", b.Code)
	}
	return nil
}

// DecodeRequests reads one X1Request. An error means that nothing in it can be
// answered but by a top-level error; a single message that cannot be honoured
// comes as Refused.
func DecodeRequests(b []byte) ([]Request, error) {
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
		reqs = append(reqs, Request{Header: h, Body: readBody(message.typ, h, in)})
	}
	return reqs, nil
}

// readBody reads what follows the header.
func readBody(typ xml.Name, h Header, s *seq) Body {
	name, isRequest := strings.CutSuffix(typ.Local, "Request")
	kind := KindExtended
	if typ.Space == nsX1 && isRequest {
		kind = parseKind(name)
	}
	if !validVersion(h.Version) {
		return Refused{Of: kind, Code: CodeVersion}
	}
	body, code := readKind(kind, s)
	if code == 0 && !s.done() {
		code = CodeSyntax
	}
	if code != 0 {
		return Refused{Of: kind, Code: code}
	}
	return body
}

func readKind(kind Kind, s *seq) (Body, int) {
	switch kind { //nolint:exhaustive // the others are unsupported alike, kinds yet to come too
	case KindActivateTask:
		task, code := readTask(s.want("taskDetails"))
		return ActivateTask{Task: task}, code
	case KindDeactivateTask:
		xid, code := readXID(s)
		return DeactivateTask{XID: xid}, code
	case KindGetTaskDetails:
		xid, code := readXID(s)
		return GetTaskDetails{XID: xid}, code
	case KindGetAllDetails:
		return GetAllDetails{}, 0
	case KindPing:
		return Ping{}, 0
	case KindKeepalive:
		return Keepalive{}, 0
	case KindReportTaskIssue:
		return readTaskIssue(s)
	}
	return nil, CodeUnsupported
}

func readXID(s *seq) (li.XID, int) {
	xid, err := li.ParseXID(s.text("xId"))
	if err != nil {
		return li.XID{}, CodeSyntax
	}
	return xid, 0
}

func readTaskIssue(s *seq) (Body, int) {
	xid, code := readXID(s)
	report, ok := parseReport(s.text("taskReportType"))
	if code != 0 || !ok {
		return nil, CodeSyntax
	}
	issue := ReportTaskIssue{XID: xid, Report: report}
	if n := s.opt("taskIssueErrorCode"); n != nil {
		if issue.Code, ok = readCode(n); !ok {
			return nil, CodeSyntax
		}
	}
	s.opt("taskIssueDetails") // free text, of no use to a machine
	for s.opt("taskIssueExtensions") != nil {
	}
	return issue, 0
}

// readCode reads an error code; ours are positive and small.
func readCode(n *node) (int, bool) {
	if !n.leaf() || !digits(n.trimmed()) || len(n.trimmed()) > 6 {
		return 0, false
	}
	code, err := strconv.Atoi(n.trimmed())
	return code, err == nil
}
