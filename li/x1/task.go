package x1

import (
	"encoding/xml"
	"time"

	"github.com/ligate/ligate/li"
)

// extensionOwner stands in the Owner of our taskDetailsExtensions.
const extensionOwner = "ligate"

// The deliveryType values.
const (
	x2Only   = "X2Only"
	x2AndX3  = "X2andX3"
	maxAlias = 256 // targetIdentifiers of one task
)

// writeTask writes TaskDetails (clause 6.2.1.2). There are no destinations: a
// gateway of ours delivers to its own bus.
func (w *writer) writeTask(task li.Task) error {
	delivery := ""
	switch task.(type) {
	case li.IRITask:
		delivery = x2Only
	case li.ContentTask:
		delivery = x2AndX3
	default:
		return ErrTask
	}
	t := task.Signalling()
	if len(t.Targets) == 0 || len(t.Targets) > maxAlias || !validTime(t.Until.UTC()) {
		return ErrTask
	}
	var err error
	w.el("taskDetails", func() {
		w.text("xId", t.XID.String())
		w.el("targetIdentifiers", func() {
			for _, id := range t.Targets {
				if e := w.writeTarget(id); e != nil {
					err = e
				}
			}
		})
		w.text("deliveryType", delivery)
		w.empty("listOfDIDs")
		w.text("implicitDeactivationAllowed", "true")
		w.el("taskDetailsExtensions", func() {
			w.text("Owner", extensionOwner)
			w.buf.WriteString(`<Until xmlns="` + nsLigate + `">` + formatTime(t.Until) + `</Until>`)
		})
	})
	return err
}

// readTask reads TaskDetails whole, or gives the code with which to refuse it. The
// code is that of the most specific reason.
func readTask(n *node) (li.Task, int) {
	s := sequence(n)
	xid, err := li.ParseXID(s.text("xId"))
	if err != nil {
		return nil, CodeSyntax
	}
	t := li.IRITask{XID: xid}
	code := 0
	if t.Targets, code = readTargets(s.want("targetIdentifiers")); code != 0 {
		return nil, code
	}
	delivery := s.text("deliveryType")
	dids := s.want("listOfDIDs")
	until, optional := readOptions(s)
	switch {
	case !s.done():
		return nil, CodeSyntax
	case delivery == "X3Only":
		return nil, CodeDeliveryType
	case delivery != x2Only && delivery != x2AndX3:
		return nil, CodeSyntax
	case len(dids.kids) > 0:
		return nil, CodeDIDUnknown
	case optional != 0:
		return nil, optional
	case until.IsZero():
		return nil, CodeActivateFailed
	}
	t.Until = until
	if delivery == x2AndX3 {
		return li.ContentTask{IRITask: t}, 0
	}
	return t, 0
}

// readTargets reads ListOfTargetIdentifiers: alternatives, so one that we do not
// know makes the whole list one that we cannot honour.
func readTargets(n *node) ([]li.Identity, int) {
	s := sequence(n)
	var ids []li.Identity
	for s.bad || len(s.kids) > 0 {
		target := s.want("targetIdentifier")
		if target == nil || len(ids) == maxAlias {
			return nil, CodeSyntax
		}
		id, ok := readTarget(target)
		if !ok {
			return nil, CodeTargetUnsupported
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, CodeSyntax
	}
	return ids, 0
}

// readOptions takes the optional elements. Of these we honour our own end time and
// the leave to end by ourselves; any other would be accepted only in name.
func readOptions(s *seq) (until time.Time, code int) {
	refuse := func(c int) {
		if code == 0 {
			code = c
		}
	}
	if n := s.opt("listOfMediationDetails"); n != nil {
		refuse(CodeActivateFailed) // a gateway must not learn of LIIDs
	}
	if n := s.opt("correlationID"); n != nil {
		refuse(CodeActivateFailed)
	}
	if n := s.opt("implicitDeactivationAllowed"); n != nil && (!n.leaf() || n.trimmed() != "true" && n.trimmed() != "1") {
		refuse(CodeActivateFailed)
	}
	if n := s.opt("productID"); n != nil {
		refuse(CodeActivateFailed)
	}
	if n := s.opt("listOfServiceTypes"); n != nil {
		refuse(CodeServiceType)
	}
	for n := s.opt("taskDetailsExtensions"); n != nil; n = s.opt("taskDetailsExtensions") {
		at, ok := readExtension(n)
		if !ok || !until.IsZero() {
			refuse(CodeActivateFailed)
		}
		until = at
	}
	if n := s.opt("listOfTrafficPolicyReferences"); n != nil && len(n.kids) > 0 {
		refuse(CodeActivateFailed)
	}
	return until, code
}

// readExtension reads our own extension, which holds exactly one Until.
func readExtension(n *node) (time.Time, bool) {
	s := sequence(n)
	owner := s.text("Owner")
	if s.bad || owner != extensionOwner || len(s.kids) != 1 {
		return time.Time{}, false
	}
	e := s.kids[0]
	if e.name != (xml.Name{Space: nsLigate, Local: "Until"}) || !e.leaf() {
		return time.Time{}, false
	}
	return parseTime(e.trimmed())
}

// readForeignTask reads what another side says that it is tapping. What is not as
// ours keeps its XID only, see AllDetails.
func readForeignTask(n *node) (li.Task, bool) {
	if task, code := readTask(n); code == 0 {
		return task, true
	}
	xid, err := li.ParseXID(sequence(n).text("xId"))
	return li.IRITask{XID: xid}, err == nil
}

// Equal reports whether two Tasks tap the same: XID, kind, targets as a set, and
// end in the microseconds that X1 carries.
func Equal(a, b li.Task) bool {
	_, mediaA := a.(li.ContentTask)
	_, mediaB := b.(li.ContentTask)
	s, t := a.Signalling(), b.Signalling()
	return mediaA == mediaB && s.XID == t.XID && formatTime(s.Until) == formatTime(t.Until) &&
		subset(s.Targets, t.Targets) && subset(t.Targets, s.Targets)
}

func subset(a, b []li.Identity) bool {
	in := make(map[li.Identity]bool, len(b))
	for _, id := range b {
		in[id] = true
	}
	for _, id := range a {
		if !in[id] {
			return false
		}
	}
	return true
}
