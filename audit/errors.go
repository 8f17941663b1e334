package audit

import "errors"

// Errors of the log.
var (
	// ErrEntry refuses an entry that lacks something or is too large.
	ErrEntry = errors.New("audit: an entry needs time, actor, action and result, texts in UTF-8 of at most 4096 octets and at most 32 details")
	// ErrCanonical says that octets are not what canonical writes.
	ErrCanonical = errors.New("audit: not the canonical form of an entry")
	// ErrRange says that an index or size is not of this tree.
	ErrRange = errors.New("audit: the tree is not that large")
	// ErrNotFound says that there is no such entry.
	ErrNotFound = errors.New("audit: no such entry")
	// ErrFilter refuses a listing's cursor or limit.
	ErrFilter = errors.New("audit: bad cursor or limit")
	// ErrCheckpoint says that a checkpoint is malformed or signed by somebody else.
	ErrCheckpoint = errors.New("audit: checkpoint is malformed or not signed by the log's key")
	// ErrDamaged says that the stored log contradicts itself: entries or hashes are
	// missing. Export still works, and Verify says what is missing.
	ErrDamaged = errors.New("audit: the stored log is damaged: export and verify it")
	// ErrUncommitted refuses to sign entries that may yet be rolled back.
	ErrUncommitted = errors.New("audit: a checkpoint cannot be made in a transaction that appended")
	// ErrErase refuses to erase an entry that is not there, was erased already, or
	// records an erasure, and an erasure without a reason or of one person.
	ErrErase = errors.New("audit: only existing records that are no erasures can be erased, for a stated reason, by two people")
	// ErrWitnessKey refuses a witness's key.
	ErrWitnessKey = errors.New("audit: bad witness key: want NAME+KEYID+KEY of type cosignature/v1 as the witness gave it")
	// ErrNotCosigned says that a checkpoint has no cosignature of that witness.
	ErrNotCosigned = errors.New("audit: not cosigned by that witness")
	// ErrProof says that octets are no proof of C2SP tlog-proof.
	ErrProof = errors.New("audit: not a tlog-proof of version 1")
)
