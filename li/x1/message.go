package x1

import (
	"time"

	"github.com/ligate/ligate/li"
)

// Version is what we put into each message (clause 6.1).
const Version = "v1.22.1"

// TransactionID ties an answer to its request: a random UUID.
type TransactionID [16]byte

// NewTransactionID makes a random version-4 UUID.
func NewTransactionID() TransactionID { return TransactionID(li.NewXID()) }

func (t TransactionID) String() string { return li.XID(t).String() }

// Header is what every message carries (clause 6.1).
type Header struct {
	ADMF        string    // admfIdentifier, 1 to 255 printable characters
	NE          string    // neIdentifier, likewise
	Time        time.Time // messageTimestamp, in microseconds, UTC
	Version     string    // v1.x.y; empty is written as Version
	Transaction TransactionID
}

// Request is one message of an X1Request.
type Request struct {
	Header
	Body Body
}

// Body is the part of a request that differs by kind: one of the types below.
type Body interface{ Kind() Kind }

// ActivateTask begins a Task (clause 6.2.1).
type ActivateTask struct{ Task li.Task }

// DeactivateTask ends a Task (clause 6.2.3).
type DeactivateTask struct{ XID li.XID }

// GetTaskDetails asks for one Task (clause 6.4.2).
type GetTaskDetails struct{ XID li.XID }

// GetAllDetails asks for all Tasks (clause 6.4.5).
type GetAllDetails struct{}

// Ping asks whether the peer is there (clause 6.6.1).
type Ping struct{}

// Keepalive is the fail-safe of clause 6.6.2, which our gateways do not have: each
// Task carries its own end instead.
type Keepalive struct{}

// ReportTaskIssue tells the ADMF what became of a Task (clause 6.5.2). Code is the
// optional taskIssueErrorCode, 0 = absent. Free text is not read or written.
type ReportTaskIssue struct {
	XID    li.XID
	Report TaskReport
	Code   int
}

// Refused is a message whose header was read and whose body cannot be honoured:
// answer it with Code. It is never written.
type Refused struct {
	Of   Kind
	Code int
}

// Kind names the request.
func (ActivateTask) Kind() Kind { return KindActivateTask }

// Kind names the request.
func (DeactivateTask) Kind() Kind { return KindDeactivateTask }

// Kind names the request.
func (GetTaskDetails) Kind() Kind { return KindGetTaskDetails }

// Kind names the request.
func (GetAllDetails) Kind() Kind { return KindGetAllDetails }

// Kind names the request.
func (Ping) Kind() Kind { return KindPing }

// Kind names the request.
func (Keepalive) Kind() Kind { return KindKeepalive }

// Kind names the request.
func (ReportTaskIssue) Kind() Kind { return KindReportTaskIssue }

// Kind names the request.
func (r Refused) Kind() Kind { return r.Of }

// Response is one message of an X1Response.
type Response struct {
	Header
	Answer Answer
}

// Answer is the part of a response that differs by kind: OK, TaskDetails,
// AllDetails or *Error.
type Answer interface{ Answers() Kind }

// OK says that a request was done (AcknowledgedAndCompleted).
type OK struct{ Of Kind }

// TaskDetails answers GetTaskDetails. See AllDetails for Tasks of other origin.
type TaskDetails struct{ Task li.Task }

// AllDetails answers GetAllDetails. A Task that is not as we write them (foreign
// targets, no Until) is read as an IRITask with its XID only: it equals no Task of
// ours, so whoever compares removes it.
type AllDetails struct{ Tasks []li.Task }

// Answers names the request.
func (o OK) Answers() Kind { return o.Of }

// Answers names the request.
func (TaskDetails) Answers() Kind { return KindGetTaskDetails }

// Answers names the request.
func (AllDetails) Answers() Kind { return KindGetAllDetails }

// Answers names the request.
func (e *Error) Answers() Kind { return e.Of }
