package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Report is what Verify found.
type Report struct {
	Origin      string
	Entries     int64
	Erased      int64 // whose record was erased by rule
	Checkpoints int
	Signed      int64 // size of the largest checkpoint that holds
	Witnesses   []Witnessing
	Unwitnessed int64    // entries at the end that no witness cosigned, where witnesses were given
	Faults      []string // each names the entry or checkpoint; none means the log is whole
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return len(r.Faults) == 0 }

// Verify checks an export offline: every commitment against its record, every
// checkpoint against the tree and against verifierKey, which the auditor got by
// hand, that the last checkpoint covers every entry, and that every erased record
// has its erasure on the log. All checkpoints are held against one tree, so each is
// consistent with the next. known are checkpoints that the auditor kept from before:
// the export must hold what they sign. An unreadable export is an error; a readable
// one that lies gives faults.
func Verify(r io.Reader, verifierKey string, known ...[]byte) (Report, error) {
	return VerifyWith(r, Options{Key: verifierKey, Known: known})
}

// VerifyWith is Verify that also looks at what witnesses cosigned and when.
func VerifyWith(r io.Reader, o Options) (Report, error) {
	verifier, err := note.NewVerifier(o.Key)
	if err != nil {
		return Report{}, errors.New("audit: bad verifier key: want NAME+HASH+KEY as the operator gave it")
	}
	v := &verification{verifier: verifier, witnessing: newWitnessing(o)}
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLineBytes)
	for n := 1; in.Scan(); n++ {
		if err := v.line(n, in.Bytes()); err != nil {
			return Report{}, err
		}
	}
	if err := in.Err(); err != nil {
		return Report{}, fmt.Errorf("audit: read export: %w", err)
	}
	if !v.started {
		return Report{}, errors.New("audit: the export has no header")
	}
	v.finish(o.Known)
	v.finishWitnessing()
	return v.report, nil
}

// verification rebuilds the tree while it reads.
type verification struct {
	verifier note.Verifier
	report   Report
	started  bool
	next     int64      // index that the next record should have
	hashes   tlogHashes // of the tree so far
	erased   []int64    // places of records that are gone, ascending
	erasures []span     // what erasures on the log name

	witnessing *witnessing
}

// tlogHashes are stored hashes by tlog.StoredHashIndex.
type tlogHashes []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h tlogHashes) ReadHashes(ids []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ids))
	for i, id := range ids {
		if id < 0 || id >= int64(len(h)) {
			return nil, ErrRange
		}
		out[i] = h[id]
	}
	return out, nil
}

func (v *verification) fault(format string, args ...any) {
	v.report.Faults = append(v.report.Faults, fmt.Sprintf(format, args...))
}

func (v *verification) line(n int, raw []byte) error {
	var l line
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return fmt.Errorf("audit: line %d of the export is not readable", n)
	}
	// A text that reads otherwise to somebody else (doubled keys, more after the
	// value) is not accepted, whatever it says to us.
	if again, err := json.Marshal(l); err != nil || !bytes.Equal(again, raw) {
		v.fault("line %d: not in the form that an export has", n)
	}
	switch {
	case l.Header != nil && l.Record == nil && l.Checkpoint == nil && !v.started:
		return v.header(*l.Header)
	case l.Record != nil && l.Header == nil && l.Checkpoint == nil && v.started && v.report.Checkpoints == 0:
		return v.record(*l.Record)
	case l.Checkpoint != nil && l.Header == nil && l.Record == nil && v.started:
		v.report.Checkpoints++
		size := v.checkpoint("checkpoint", v.report.Checkpoints, []byte(*l.Checkpoint))
		v.report.Signed = max(v.report.Signed, size)
		if size > 0 {
			v.cosignatures([]byte(*l.Checkpoint), size)
		}
		return nil
	}
	return fmt.Errorf("audit: line %d of the export does not belong there", n)
}

func (v *verification) header(h exportHeader) error {
	if h.Format != exportFormat {
		return errors.New("audit: the export has an unknown format")
	}
	v.started, v.report.Origin = true, h.Origin
	if h.Origin != v.verifier.Name() {
		v.fault("header: the log's origin is not the one of the verifier key")
	}
	return nil
}

func (v *verification) record(r Record) error {
	switch {
	case r.Index == v.next+1:
		v.fault("entry %d: missing", v.next)
	case r.Index > v.next:
		v.fault("entries %d to %d: missing", v.next, r.Index-1)
	case r.Index < v.next:
		v.fault("entry %d: doubled or out of order", r.Index)
	}
	v.next = max(v.next, r.Index+1)
	place := v.report.Entries
	v.witnessing.entry(r)
	switch {
	case len(r.Commitment) != tlog.HashSize:
		v.fault("entry %d: commitment has the wrong size", r.Index)
	case r.Entry == nil && r.Salt == nil:
		v.report.Erased++
		v.erased = append(v.erased, place)
	case !r.matches():
		v.fault("entry %d: the record is not the one that was logged", r.Index)
	case r.Entry.Action == ActionErase:
		spans, ok := parseSpans(r.Entry.Detail[detailEntries], place)
		if !ok {
			v.fault("entry %d: an erasure that does not say of what", r.Index)
		}
		if by := r.Entry.Detail[detailAskedBy]; by == "" || by == r.Entry.Actor {
			v.fault("entry %d: an erasure by one person", r.Index)
		}
		v.erasures = append(v.erasures, spans...)
	}
	hashes, err := tlog.StoredHashes(place, r.Commitment, v.hashes)
	if err != nil {
		return fmt.Errorf("audit: rebuild tree: %w", err)
	}
	v.hashes = append(v.hashes, hashes...)
	v.report.Entries++
	return nil
}

// matches reports whether the record is the one that its commitment was made of.
func (r Record) matches() bool {
	return r.Entry != nil && len(r.Salt) == saltBytes && r.Entry.validate() == nil &&
		bytes.Equal(commit(r.Salt, r.Entry.canonical()), r.Commitment)
}

// checkpoint holds a signed tree head against the tree and returns its size, 0 if it
// does not hold. n says which it is.
func (v *verification) checkpoint(what string, n int, signed []byte) int64 {
	size, root, err := OpenCheckpoint(signed, v.verifier)
	if err != nil {
		v.fault("%s %d: malformed or not signed by the log's key", what, n)
		return 0
	}
	if size > v.report.Entries {
		v.fault("%s of size %d: the log has only %d entries", what, size, v.report.Entries)
		return 0
	}
	got, err := tlog.TreeHash(size, v.hashes)
	if err != nil || got != root {
		from := v.report.Signed // what an earlier checkpoint signs is right
		if from >= size {
			from = 0
		}
		v.fault("%s of size %d: of entries %d to %d not all are those that were signed", what, size, from, size-1)
		return 0
	}
	return size
}

func (v *verification) finish(known [][]byte) {
	if v.report.Signed < v.report.Entries {
		v.fault("entries %d to %d: no checkpoint signs them", v.report.Signed, v.report.Entries-1)
	}
	for i, k := range known {
		v.checkpoint("kept checkpoint", i+1, k)
	}
	// Both ascending: one pass. end is the last place that an erasure so far names.
	slices.SortFunc(v.erasures, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	end, i := int64(-1), 0
	for _, place := range v.erased {
		for ; i < len(v.erasures) && v.erasures[i].first <= place; i++ {
			end = max(end, v.erasures[i].last)
		}
		if place > end {
			v.fault("entry %d: the record is gone and no erasure is on the log", place)
		}
	}
}
