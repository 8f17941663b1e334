package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// An export is a text of JSON lines: one header, all records in order, all
// checkpoints in order of size.
const exportFormat = "ligate-audit-export/1"

// maxLineBytes bounds one line of an export: an entry is far smaller.
const maxLineBytes = 1 << 20

// line is one line of an export; exactly one field is set.
type line struct {
	Header     *exportHeader `json:"header,omitempty"`
	Record     *Record       `json:"record,omitempty"`
	Checkpoint *string       `json:"checkpoint,omitempty"`
}

type exportHeader struct {
	Format string `json:"format"`
	Origin string `json:"origin"`
}

// Export writes the whole log, ended by a checkpoint over all of it. It reads one
// snapshot, so tx should be repeatable read.
func (l *Log) Export(ctx context.Context, tx pgx.Tx, w io.Writer) error {
	if _, err := l.Checkpoint(ctx, tx); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	if err := enc.Encode(line{Header: &exportHeader{Format: exportFormat, Origin: l.origin}}); err != nil {
		return fmt.Errorf("audit: write export: %w", err)
	}
	f := Filter{Limit: MaxLimit}
	for {
		records, next, err := l.Entries(ctx, tx, f)
		if err != nil {
			return err
		}
		for i := range records {
			if err := enc.Encode(line{Record: &records[i]}); err != nil {
				return fmt.Errorf("audit: write export: %w", err)
			}
		}
		if f.After = next; next == "" {
			break
		}
	}
	rows, err := tx.Query(ctx, "select note from audit_checkpoint order by size")
	if err != nil {
		return fmt.Errorf("audit: read checkpoints: %w", err)
	}
	notes, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return fmt.Errorf("audit: read checkpoints: %w", err)
	}
	for _, n := range notes {
		text := string(n)
		if err := enc.Encode(line{Checkpoint: &text}); err != nil {
			return fmt.Errorf("audit: write export: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("audit: write export: %w", err)
	}
	return nil
}

// Report is what Verify found.
type Report struct {
	Origin      string
	Entries     int64
	Erased      int64 // whose record was erased by rule
	Checkpoints int
	Signed      int64    // size of the largest checkpoint
	Faults      []string // each names the entry or checkpoint; none means the log is whole
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return len(r.Faults) == 0 }

// Verify checks an export offline: every commitment against its record, every
// checkpoint against the tree and against verifierKey, which the auditor got by
// hand, and that the last checkpoint covers every entry. An unreadable export is an
// error; a readable one that lies gives faults.
func Verify(r io.Reader, verifierKey string) (Report, error) {
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Report{}, errors.New("audit: bad verifier key: want NAME+HASH+KEY as the operator gave it")
	}
	v := &verification{verifier: verifier}
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLineBytes)
	for n := 1; in.Scan(); n++ {
		var l line
		dec := json.NewDecoder(bytes.NewReader(in.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&l); err != nil {
			return Report{}, fmt.Errorf("audit: line %d of the export is not readable", n)
		}
		if err := v.line(n, l); err != nil {
			return Report{}, err
		}
	}
	if err := in.Err(); err != nil {
		return Report{}, fmt.Errorf("audit: read export: %w", err)
	}
	return v.finish()
}

// verification rebuilds the tree while it reads.
type verification struct {
	verifier note.Verifier
	report   Report
	started  bool
	hashes   []tlog.Hash
}

// ReadHashes implements tlog.HashReader over the hashes rebuilt so far.
func (v *verification) ReadHashes(ids []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ids))
	for i, id := range ids {
		if id < 0 || id >= int64(len(v.hashes)) {
			return nil, ErrRange
		}
		out[i] = v.hashes[id]
	}
	return out, nil
}

func (v *verification) fault(format string, args ...any) {
	v.report.Faults = append(v.report.Faults, fmt.Sprintf(format, args...))
}

func (v *verification) line(n int, l line) error {
	switch {
	case l.Header != nil && !v.started:
		if l.Header.Format != exportFormat {
			return errors.New("audit: the export has an unknown format")
		}
		v.started, v.report.Origin = true, l.Header.Origin
		if l.Header.Origin != v.verifier.Name() {
			v.fault("header: the log's origin is not the one of the verifier key")
		}
		return nil
	case l.Record != nil && v.started && v.report.Checkpoints == 0:
		return v.record(*l.Record)
	case l.Checkpoint != nil && v.started:
		v.checkpoint(*l.Checkpoint)
		return nil
	}
	return fmt.Errorf("audit: line %d of the export does not belong there", n)
}

func (v *verification) record(r Record) error {
	if r.Index != v.report.Entries {
		v.fault("entry %d: entry %d stands here: entries are missing, doubled or out of order", v.report.Entries, r.Index)
	}
	switch {
	case len(r.Commitment) != tlog.HashSize:
		v.fault("entry %d: commitment has the wrong size", r.Index)
	case r.Entry == nil && r.Salt == nil:
		v.report.Erased++
	case r.Entry == nil || len(r.Salt) != saltBytes || !bytes.Equal(commit(r.Salt, r.Entry.canonical()), r.Commitment):
		v.fault("entry %d: the record is not the one that was logged", r.Index)
	}
	hashes, err := tlog.StoredHashes(v.report.Entries, r.Commitment, v)
	if err != nil {
		return fmt.Errorf("audit: rebuild tree: %w", err)
	}
	v.hashes = append(v.hashes, hashes...)
	v.report.Entries++
	return nil
}

func (v *verification) checkpoint(signed string) {
	v.report.Checkpoints++
	size, root, err := OpenCheckpoint([]byte(signed), v.verifier)
	if err != nil {
		v.fault("checkpoint %d: malformed or not signed by the log's key", v.report.Checkpoints)
		return
	}
	if size > v.report.Entries {
		v.fault("checkpoint of size %d: entries %d to %d are missing", size, v.report.Entries, size-1)
		return
	}
	want, err := tlog.TreeHash(size, v)
	if err != nil || want != root {
		v.fault("checkpoint of size %d: the entries are not those that were signed", size)
	}
	v.report.Signed = max(v.report.Signed, size)
}

func (v *verification) finish() (Report, error) {
	if !v.started {
		return Report{}, errors.New("audit: the export has no header")
	}
	if v.report.Signed < v.report.Entries {
		v.fault("entries %d to %d: no checkpoint signs them", v.report.Signed, v.report.Entries-1)
	}
	v.report.Faults = slices.Compact(v.report.Faults)
	return v.report, nil
}
