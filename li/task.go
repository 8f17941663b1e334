package li

import "time"

// Task is what the ADMF tells a POI over X1: copy what these identities do until
// then. It is an IRITask or a ContentTask and nothing else.
type Task interface {
	// Signalling returns the part that both kinds have.
	Signalling() IRITask
	isTask()
}

// IRITask copies signalling only. It has no path to media.
type IRITask struct {
	XID     XID
	Targets []Identity // alternatives: any of them matches
	Until   time.Time  // the Task ends by itself then
}

// ContentTask copies signalling and media.
type ContentTask struct{ IRITask }

// Signalling returns the task itself.
func (t IRITask) Signalling() IRITask { return t }

func (IRITask) isTask() {}
