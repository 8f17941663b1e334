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

// ActivateTask begins a Task (clause 6.2.1). Our gateways deliver to their own bus and
// need no DIDs. Bare leaves out our own end: the element that gets such a Task taps
// until it is told to stop. A Task that was read Bare has no Until.
type ActivateTask struct {
	Task li.Task
	DIDs []DID
	Bare bool
}

// ModifyTask replaces a Task of the same XID (clause 6.2.2).
type ModifyTask ActivateTask

// DeactivateTask ends a Task (clause 6.2.3).
type DeactivateTask struct{ XID li.XID }

// CreateDestination and ModifyDestination say where to deliver (clauses 6.3.1, 6.3.2).
type (
	CreateDestination struct{ Destination Destination }
	ModifyDestination struct{ Destination Destination }
)

// RemoveDestination forgets one (clause 6.3.3).
type RemoveDestination struct{ DID DID }

// GetTaskDetails asks for one Task (clause 6.4.2).
type GetTaskDetails struct{ XID li.XID }

// GetDestinationDetails asks for one destination (clause 6.4.3).
type GetDestinationDetails struct{ DID DID }

// Requests without a body.
type (
	DeactivateAllTasks       struct{} // ends all Tasks (clause 6.2.4)
	RemoveAllDestinations    struct{} // forgets all destinations (clause 6.3.4)
	GetNEStatus              struct{} // asks for the element's faults (clause 6.4.4)
	GetAllDetails            struct{} // asks for all Tasks and destinations (clause 6.4.5)
	ListAllDetails           struct{} // asks for the identifiers of all (clause 6.4.6)
	GetAllTaskDetails        struct{} // asks for all Tasks (clause 6.4.7)
	GetAllDestinationDetails struct{} // asks for all destinations (clause 6.4.8)
	Ping                     struct{} // asks whether the peer is there (clause 6.6.1)
	Keepalive                struct{} // resets the fail-safe of clause 6.6.2
)

// ReportDestinationIssue tells the ADMF what became of a destination (clause 6.5.3).
// Code is optional, 0 = absent.
type ReportDestinationIssue struct {
	DID    DID
	Report TaskReport
	Code   int
}

// ReportNEIssue tells the ADMF of the element itself (clause 6.5.4). Code is optional,
// 0 = absent. A foreign description is not kept.
type ReportNEIssue struct {
	Issue NEIssue
	Code  int
}

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
func (ModifyTask) Kind() Kind { return KindModifyTask }

// Kind names the request.
func (DeactivateTask) Kind() Kind { return KindDeactivateTask }

// Kind names the request.
func (DeactivateAllTasks) Kind() Kind { return KindDeactivateAllTasks }

// Kind names the request.
func (CreateDestination) Kind() Kind { return KindCreateDestination }

// Kind names the request.
func (ModifyDestination) Kind() Kind { return KindModifyDestination }

// Kind names the request.
func (RemoveDestination) Kind() Kind { return KindRemoveDestination }

// Kind names the request.
func (RemoveAllDestinations) Kind() Kind { return KindRemoveAllDestinations }

// Kind names the request.
func (GetTaskDetails) Kind() Kind { return KindGetTaskDetails }

// Kind names the request.
func (GetDestinationDetails) Kind() Kind { return KindGetDestinationDetails }

// Kind names the request.
func (GetNEStatus) Kind() Kind { return KindGetNEStatus }

// Kind names the request.
func (GetAllDetails) Kind() Kind { return KindGetAllDetails }

// Kind names the request.
func (ListAllDetails) Kind() Kind { return KindListAllDetails }

// Kind names the request.
func (GetAllTaskDetails) Kind() Kind { return KindGetAllTaskDetails }

// Kind names the request.
func (GetAllDestinationDetails) Kind() Kind { return KindGetAllDestinationDetails }

// Kind names the request.
func (Ping) Kind() Kind { return KindPing }

// Kind names the request.
func (Keepalive) Kind() Kind { return KindKeepalive }

// Kind names the request.
func (ReportTaskIssue) Kind() Kind { return KindReportTaskIssue }

// Kind names the request.
func (ReportDestinationIssue) Kind() Kind { return KindReportDestinationIssue }

// Kind names the request.
func (ReportNEIssue) Kind() Kind { return KindReportNEIssue }

// Kind names the request.
func (r Refused) Kind() Kind { return r.Of }

// Response is one message of an X1Response.
type Response struct {
	Header
	Answer Answer
}

// Answer is the part of a response that differs by kind: one of the types below, or
// *Error.
type Answer interface{ Answers() Kind }

// OK says that a request was done (AcknowledgedAndCompleted).
type OK struct{ Of Kind }

// TaskDetails is a Task as a network element reports it (TaskResponseDetails) and the
// answer to GetTaskDetails. Odd says that it is not as we write Tasks (foreign targets,
// options): then Task holds what could be read and equals no Task of ours, so whoever
// compares removes it.
type TaskDetails struct {
	Task   li.Task
	DIDs   []DID
	Bare   bool // it has no end of its own; Task has no Until when read
	Odd    bool // read only
	Status TaskStatus
}

// TaskStatus is what an element says of its work on a Task (clause 6.4.2.2). Zero
// fields are absent.
type TaskStatus struct {
	Faulty        bool      // failed, or a fault that is not resolved
	LastIntercept time.Time // timeOfLastIntercept
	X2, X3        int64     // amountOfX2Data and amountOfX3Data, in octets
	Begun         time.Time // timeOfLastModification
	Unlisted      bool      // ours: found where calls are copied, not in the table of Tasks
}

// AllDetails answers GetAllDetails.
type AllDetails struct {
	Faults       []int // of the element itself, as error codes
	Tasks        []TaskDetails
	Destinations []DestinationDetails
}

// NEStatus answers GetNEStatus.
type NEStatus struct{ Faults []int }

// AllTaskDetails answers GetAllTaskDetails.
type AllTaskDetails struct{ Tasks []TaskDetails }

// AllDestinationDetails answers GetAllDestinationDetails.
type AllDestinationDetails struct{ Destinations []DestinationDetails }

// AllIdentifiers answers ListAllDetails.
type AllIdentifiers struct {
	XIDs []li.XID
	DIDs []DID
}

// Answers names the request.
func (o OK) Answers() Kind { return o.Of }

// Answers names the request.
func (TaskDetails) Answers() Kind { return KindGetTaskDetails }

// Answers names the request.
func (AllDetails) Answers() Kind { return KindGetAllDetails }

// Answers names the request.
func (DestinationDetails) Answers() Kind { return KindGetDestinationDetails }

// Answers names the request.
func (NEStatus) Answers() Kind { return KindGetNEStatus }

// Answers names the request.
func (AllTaskDetails) Answers() Kind { return KindGetAllTaskDetails }

// Answers names the request.
func (AllDestinationDetails) Answers() Kind { return KindGetAllDestinationDetails }

// Answers names the request.
func (AllIdentifiers) Answers() Kind { return KindListAllDetails }

// Answers names the request.
func (e *Error) Answers() Kind { return e.Of }
