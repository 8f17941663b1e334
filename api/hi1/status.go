package hi1

import (
	"strings"

	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// status is an object's status as the dictionaries of TS 103 120 name it. Those of
// Authorisation and Document lack AwaitingProvisioning and Active, which are Approved
// there.
type status string

// The statuses.
const (
	awaitingApproval     status = "AwaitingApproval"
	awaitingProvisioning status = "AwaitingProvisioning"
	active               status = "Active"
	approved             status = "Approved"
	suspended            status = "Suspended"
	rejected             status = "Rejected"
	cancelled            status = "Cancelled"
	expired              status = "Expired"
)

// taskStatus says how a Task stands. false: a state that this table lacks.
func taskStatus(s pgstore.HI1Standing) (status, bool) {
	switch s.State {
	case pgstore.HI1Received:
		return awaitingApproval, true
	case pgstore.HI1Rejected:
		return rejected, true
	case pgstore.HI1Withdrawn:
		return cancelled, true
	case pgstore.HI1Drafted:
		if s.Warrant == 0 { // a notification of the taking itself
			return awaitingApproval, true
		}
		return warrantStatus(s)
	}
	return "", false
}

func warrantStatus(s pgstore.HI1Standing) (status, bool) {
	switch s.Warrant {
	case warrant.Draft, warrant.Submitted:
		return awaitingApproval, true
	case warrant.Rejected:
		return rejected, true
	case warrant.Approved:
		return awaitingProvisioning, true
	case warrant.Active:
		return active, true
	case warrant.Suspended:
		return suspended, true
	case warrant.Expired:
		return expired, true
	case warrant.Revoked:
		return cancelled, true
	case warrant.Purged: // how it ended stays what it was
		if s.Stopped.Before(s.Until) {
			return cancelled, true
		}
		return expired, true
	}
	return "", false
}

// overall is the status of what several orders share: that of the order which stands
// best.
func overall(orders []pgstore.HI1Standing) (status, *hi1.ErrorInfo, bool) {
	best, reason := status(""), (*hi1.ErrorInfo)(nil)
	for _, o := range orders {
		s, ok := taskStatus(o)
		if !ok {
			return "", nil, false
		}
		if s == active || s == awaitingProvisioning {
			s = approved
		}
		if best == "" || rank(s) < rank(best) {
			best, reason = s, why(s, o)
		}
	}
	if best == "" {
		best = awaitingApproval
	}
	return best, reason, true
}

// worst ranks behind all others: rejected.
const worst = 99

func rank(s status) int {
	for i, other := range []status{approved, suspended, awaitingApproval, expired, cancelled} {
		if s == other {
			return i
		}
	}
	return worst
}

// why is the reason beside a status.
func why(s status, o pgstore.HI1Standing) *hi1.ErrorInfo {
	switch {
	case s != rejected:
		return nil
	case o.Reason != "":
		return &hi1.ErrorInfo{Code: codeRejected, Description: clean(o.Reason)}
	}
	return &hi1.ErrorInfo{Code: codeRejected, Description: "the second person at the operator did not approve it; the draft may be corrected and submitted again"}
}

// clean drops what a message cannot carry.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xFFFE || r == 0xFFFF {
			return ' '
		}
		return r
	}, s)
}

// render is an object as it now stands. false: a state that the tables lack.
func render(agency warrant.Agency, o pgstore.HI1Object) (hi1.Object, bool) {
	base := o.Object.Base()
	base.Country, base.Owner, base.Generation, base.LastChanged = hi1.Country(agency.Country), agency.Name, &o.Generation, o.Changed
	wish := o.Wish != ""
	best, reason, ok := overall(o.Orders)
	if wish && len(o.Orders) == 0 {
		best = cancelled
	}
	switch v := o.Object.(type) {
	case *hi1.Authorisation:
		v.Status, v.InvalidReason = hi1.ETSI(hi1.DictAuthorisationStatus, string(best)), reason
		if wish {
			v.DesiredStatus = hi1.ETSI(hi1.DictAuthorisationWish, o.Wish)
		}
	case *hi1.Document:
		v.Status, v.InvalidReason = hi1.ETSI(hi1.DictDocumentStatus, string(best)), reason
		v.Body = withoutContents(v.Body)
	case *hi1.Task:
		if len(o.Orders) == 1 {
			best, ok = taskStatus(o.Orders[0])
			reason = why(best, o.Orders[0])
			told(v, o.Orders[0])
		}
		v.Status, v.InvalidReason = hi1.ETSI(hi1.DictTaskStatus, string(best)), reason
		if wish {
			v.DesiredStatus = hi1.ETSI(hi1.DictTaskWish, o.Wish)
		}
	}
	return o.Object, ok
}

// told adds when a Task ended.
func told(t *hi1.Task, s pgstore.HI1Standing) {
	if s.Stopped.IsZero() {
		return
	}
	if t.Timespan == nil {
		t.Timespan = &hi1.TaskTimespan{}
	}
	t.Timespan.Terminated = s.Stopped
}

// withoutContents keeps what tells that a document arrived whole, not the document.
func withoutContents(b *hi1.Body) *hi1.Body {
	if b == nil {
		return nil
	}
	return &hi1.Body{ContentType: b.ContentType, Checksum: sum(b.Contents), ChecksumType: checksumType}
}
