package witness

import (
	"errors"
	"fmt"
)

// Errors of this package.
var (
	// ErrInUse says that another witness works in the folder.
	ErrInUse = errors.New("witness: another witness works in this folder: stop it, or take another folder")
	// ErrState says that what the witness remembers is damaged. It must not sign then.
	ErrState = errors.New("witness: the kept checkpoint is damaged: restore it from the log's or an auditor's copy, never begin anew")
	// ErrRequest says that a request to a witness is malformed.
	ErrRequest = errors.New("witness: want old SIZE, at most 63 hashes, an empty line and a checkpoint (C2SP tlog-witness)")
	// ErrFork says that a witness has signed a tree that is not the beginning of ours.
	ErrFork = errors.New("witness: a witness has seen another history of this log: it was rewritten, forked or restored from a backup")
	// ErrAnswer says that a witness answered what is no cosignature of its key.
	ErrAnswer = errors.New("witness: the answer is no cosignature by the witness's key")

	// errBehind says that the checkpoint is not the newest any more: the next round has it.
	errBehind = errors.New("witness: a newer checkpoint was pushed meanwhile")
)

// StatusError is an answer of a witness that is no success.
type StatusError struct{ Status int }

func (e *StatusError) Error() string { return fmt.Sprintf("witness: answered %d", e.Status) }

// ConflictError is the answer of a witness that knows another size.
type ConflictError struct{ Size int64 }

func (e *ConflictError) Error() string { return fmt.Sprintf("witness: knows size %d", e.Size) }
