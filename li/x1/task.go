package x1

import (
	"encoding/xml"
	"slices"
	"time"

	"github.com/ligate/ligate/li"
)

// extensionOwner stands in the Owner of our taskDetailsExtensions.
const extensionOwner = "ligate"

// The deliveryType values.
const (
	x2Only   = "X2Only"
	x3Only   = "X3Only"
	x2AndX3  = "X2andX3"
	maxAlias = 256 // targetIdentifiers of one task
	maxDIDs  = 64  // destinations of one task
)

// writeTask writes TaskDetails (clause 6.2.1.2). A bare Task has no end of its own:
// elements that are not ours do not know it.
func (w *writer) writeTask(a ActivateTask) error {
	delivery := ""
	switch a.Task.(type) {
	case li.IRITask:
		delivery = x2Only
	case li.ContentTask:
		delivery = x2AndX3
	default:
		return ErrTask
	}
	t := a.Task.Signalling()
	if len(t.Targets) == 0 || len(t.Targets) > maxAlias || len(a.DIDs) > maxDIDs || !a.Bare && (t.Until.IsZero() || !validTime(t.Until.UTC())) {
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
		w.writeDIDs(a.DIDs)
		w.text("implicitDeactivationAllowed", "true")
		if !a.Bare {
			w.extension("taskDetailsExtensions", "Until", formatTime(t.Until))
		}
	})
	return err
}

// extension writes one element of ours, empty without text.
func (w *writer) extension(in, name, text string) {
	w.el(in, func() {
		w.text("Owner", extensionOwner)
		w.buf.WriteString("<" + name + ` xmlns="` + nsLigate + `">` + text + "</" + name + ">")
	})
}

// readTask reads TaskDetails whole, or gives the code with which to refuse it. The
// code is that of the most specific reason; what could be read comes with it.
func readTask(n *node) (ActivateTask, int) {
	s := sequence(n)
	xid, err := li.ParseXID(s.text("xId"))
	if err != nil {
		return ActivateTask{}, CodeSyntax
	}
	t := li.IRITask{XID: xid}
	targets, targetsCode := readTargets(s.want("targetIdentifiers"))
	t.Targets = targets
	delivery := s.text("deliveryType")
	dids, didsCode := readDIDs(s.want("listOfDIDs"))
	until, optional := readOptions(s)
	t.Until = until
	out := ActivateTask{Task: t, DIDs: dids, Bare: until.IsZero()}
	if delivery == x2AndX3 || delivery == x3Only {
		out.Task = li.ContentTask{IRITask: t}
	}
	switch {
	case targetsCode != 0:
		return out, targetsCode
	case didsCode != 0 && s.done():
		return out, didsCode
	case !s.done():
		return out, CodeSyntax
	case delivery == x3Only:
		return out, CodeDeliveryType
	case delivery != x2Only && delivery != x2AndX3:
		return out, CodeSyntax
	}
	return out, optional
}

// readTargets reads ListOfTargetIdentifiers: alternatives, so one that we do not
// know makes the whole list one that we cannot honour.
func readTargets(n *node) ([]li.Identity, int) {
	s := sequence(n)
	var ids []li.Identity
	for s.bad || len(s.kids) > 0 {
		target := s.want("targetIdentifier")
		if target == nil || len(ids) == maxAlias {
			return ids, CodeSyntax
		}
		id, ok := readTarget(target)
		if !ok {
			return ids, CodeTargetUnsupported
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

// readReported reads what another side says that it is tapping: as ours, or Odd.
func readReported(n *node) (TaskDetails, bool) {
	task, code := readTask(n)
	if code == CodeSyntax {
		xid, err := li.ParseXID(sequence(n).text("xId"))
		return TaskDetails{Task: li.IRITask{XID: xid}, Odd: true}, err == nil
	}
	return TaskDetails{Task: task.Task, DIDs: task.DIDs, Bare: task.Bare, Odd: code != 0}, true
}

// Equal reports whether two Tasks tap the same: XID, kind, targets as a set, and
// end in the microseconds that X1 carries.
func Equal(a, b li.Task) bool {
	return a.Signalling().Until.UnixMicro() == b.Signalling().Until.UnixMicro() && EqualButEnd(a, b)
}

// EqualButEnd is Equal without the end, which an element that is not ours does not know.
func EqualButEnd(a, b li.Task) bool {
	_, mediaA := a.(li.ContentTask)
	_, mediaB := b.(li.ContentTask)
	s, t := a.Signalling(), b.Signalling()
	if mediaA != mediaB || s.XID != t.XID {
		return false
	}
	// Ten thousand are compared each second: most are as they were written.
	return slices.Equal(s.Targets, t.Targets) || subset(s.Targets, t.Targets) && subset(t.Targets, s.Targets)
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
