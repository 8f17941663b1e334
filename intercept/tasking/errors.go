package tasking

import "errors"

// Errors of the index.
var (
	ErrExists  = errors.New("tasking: a task with this XID is active")
	ErrUnknown = errors.New("tasking: no task has this XID")
	ErrPast    = errors.New("tasking: the task's end has passed")
	ErrTargets = errors.New("tasking: a task needs at least one target")
	ErrKind    = errors.New("tasking: unknown kind of task")
)
