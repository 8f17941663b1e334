package audit

import (
	"errors"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Options of VerifyWith; only Key is required.
type Options struct {
	Key       string          // the log's verifier key, which the auditor got by hand
	Known     [][]byte        // checkpoints that the auditor, agencies or witnesses kept: the export must hold what they sign
	Witnesses []note.Verifier // whose cosignatures count, from NewWitnessVerifier
	MaxGap    time.Duration   // how long an entry may have stood without any cosignature; default 10m; looked at with Witnesses only
}

const defaultMaxGap = 10 * time.Minute

// Witnessing is what one witness cosigned of an export.
type Witnessing struct {
	Name        string
	Checkpoints int
	Size        int64     // of the largest
	At          time.Time // when it cosigned that
}

// witnessing follows the cosignatures while the checkpoints are read, which are in
// order of size.
type witnessing struct {
	witnesses []note.Verifier
	found     []Witnessing
	maxGap    time.Duration
	times     []int64 // of the entries, in microseconds; 0 = erased
	covered   int64   // entries that some witness cosigned
}

func newWitnessing(o Options) *witnessing {
	w := &witnessing{witnesses: o.Witnesses, maxGap: o.MaxGap}
	if w.maxGap == 0 {
		w.maxGap = defaultMaxGap
	}
	for _, v := range o.Witnesses {
		w.found = append(w.found, Witnessing{Name: v.Name()})
	}
	return w
}

func (w *witnessing) entry(r Record) {
	if len(w.witnesses) == 0 {
		return
	}
	at := int64(0)
	if r.Entry != nil {
		at = r.Entry.Time.UnixMicro()
	}
	w.times = append(w.times, at)
}

// checkpoint looks for cosignatures of one that holds.
func (v *verification) cosignatures(signed []byte, size int64) {
	w := v.witnessing
	first := time.Time{}
	for i, by := range w.witnesses {
		at, err := CosignedAt(signed, by)
		if errors.Is(err, ErrNotCosigned) {
			continue
		}
		if err != nil {
			v.fault("checkpoint of size %d: the cosignature of witness %s is not of it", size, by.Name())
			continue
		}
		w.found[i].Checkpoints++
		w.found[i].Size, w.found[i].At = size, at
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if first.IsZero() || size <= w.covered {
		return
	}
	if begun := w.since(w.covered, size); !begun.IsZero() && first.Sub(begun) > w.maxGap {
		v.fault("entries %d to %d: not witnessed for %s", w.covered, size-1, first.Sub(begun).Round(time.Second))
	}
	w.covered = size
}

// since is when the first of these entries that still has a record was made.
func (w *witnessing) since(from, to int64) time.Time {
	for _, at := range w.times[min(from, int64(len(w.times))):min(to, int64(len(w.times)))] {
		if at != 0 {
			return time.UnixMicro(at).UTC()
		}
	}
	return time.Time{}
}

// finishWitnessing reports what stands at the end without a cosignature. The newest
// entries of an export always do, for as long as the next checkpoint takes.
func (v *verification) finishWitnessing() {
	w := v.witnessing
	v.report.Witnesses = w.found
	if len(w.witnesses) == 0 {
		return
	}
	v.report.Unwitnessed = v.report.Entries - w.covered
	begun := w.since(w.covered, v.report.Entries)
	if begun.IsZero() {
		return
	}
	if age := time.UnixMicro(w.newest()).Sub(begun); age > w.maxGap {
		v.fault("entries %d to %d: no witness cosigned them, for %s up to the newest entry", w.covered, v.report.Entries-1, age.Round(time.Second))
	}
}

func (w *witnessing) newest() int64 {
	for i := len(w.times) - 1; i >= 0; i-- {
		if w.times[i] != 0 {
			return w.times[i]
		}
	}
	return 0
}
