package x1

import (
	"encoding/xml"
	"strconv"
	"time"
)

// taskResponse writes TaskResponseDetails. The answers of our own gateways are written
// with the end, so that the ADMF can compare it.
func (w *writer) taskResponse(d TaskDetails) error {
	if d.Task == nil || d.Odd {
		return ErrTask
	}
	var err error
	w.el("taskResponseDetails", func() {
		err = w.writeTask(ActivateTask{Task: d.Task, DIDs: d.DIDs, Bare: d.Bare})
		w.el("taskStatus", func() { w.status(d.Status) })
	})
	return err
}

func (w *writer) status(s TaskStatus) {
	provisioning := "complete"
	if s.Faulty {
		provisioning = "failed"
	}
	w.text("provisioningStatus", provisioning)
	w.empty("listOfFaults")
	if !s.LastIntercept.IsZero() {
		w.text("timeOfLastIntercept", formatTime(s.LastIntercept))
	}
	if s.X2 != 0 {
		w.text("amountOfX2Data", strconv.FormatInt(s.X2, 10))
	}
	if s.X3 != 0 {
		w.text("amountOfX3Data", strconv.FormatInt(s.X3, 10))
	}
	if !s.Begun.IsZero() {
		w.text("timeOfLastModification", formatTime(s.Begun))
	}
	if s.Unlisted {
		w.extension("taskStatusExtensions", "Unlisted", "")
	}
}

// readStatus reads TaskStatus. What other elements extend it by is skipped.
func readStatus(n *node) (TaskStatus, bool) {
	s := sequence(n)
	provisioning := s.text("provisioningStatus")
	faults, ok := readFaults(s.want("listOfFaults"))
	out := TaskStatus{Faulty: provisioning == "failed" || len(faults) > 0}
	for _, at := range []struct {
		name string
		read func(*node) bool
	}{
		{"timeOfLastIntercept", readInto(&out.LastIntercept)},
		{"amountOfX2Data", countInto(&out.X2)},
		{"amountOfX3Data", countInto(&out.X3)},
		{"timeOfLastModification", readInto(&out.Begun)},
		{"numberOfModifications", countInto(new(int64))},
	} {
		if n := s.opt(at.name); n != nil && !at.read(n) {
			return TaskStatus{}, false
		}
	}
	for n := s.opt("taskStatusExtensions"); n != nil; n = s.opt("taskStatusExtensions") {
		in := sequence(n)
		if in.text("Owner") == extensionOwner && len(in.kids) == 1 && in.kids[0].name == (xml.Name{Space: nsLigate, Local: "Unlisted"}) {
			out.Unlisted = true
		}
	}
	return out, ok && s.done()
}

func readInto(to *time.Time) func(*node) bool {
	return func(n *node) bool {
		at, ok := parseTime(n.trimmed())
		*to = at
		return ok && n.leaf()
	}
}

// countInto reads an amount; xs:integer has no bound, we have.
func countInto(to *int64) func(*node) bool {
	return func(n *node) bool {
		if !n.leaf() || !digits(n.trimmed()) || len(n.trimmed()) > 18 {
			return false
		}
		v, err := strconv.ParseInt(n.trimmed(), 10, 64)
		*to = v
		return err == nil
	}
}

func readNEStatus(n *node) ([]int, bool) {
	s := sequence(n)
	s.text("neStatus")
	faults, ok := readFaults(s.want("listOfFaults"))
	return faults, ok && s.done()
}

func readFaults(n *node) ([]int, bool) {
	if n == nil {
		return nil, false
	}
	return readList(n, "unresolvedFault", func(n *node) (int, bool) {
		s := sequence(n)
		code, ok := 0, false
		if at := s.want("errorCode"); at != nil {
			code, ok = readCode(at)
		}
		s.text("errorDescription")
		return code, ok && s.done()
	})
}
