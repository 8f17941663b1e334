package audit

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Inclusion is a record with the proof that it is in the tree of a checkpoint.
type Inclusion struct {
	Record Record      `json:"record"`
	Proof  []tlog.Hash `json:"proof"`
}

// Inclusions lists the records that f finds and keep wants, all of them, each proved
// to the checkpoint, which is made for it.
func (l *Log) Inclusions(ctx context.Context, db querier, f Filter, keep func(Record) bool) (all []Inclusion, checkpoint []byte, err error) {
	checkpoint, size, err := l.checkpoint(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	f.end, f.Limit = size, MaxLimit
	for {
		records, next, err := l.Entries(ctx, db, f)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range records {
			if !keep(r) {
				continue
			}
			proof, err := l.InclusionProof(ctx, db, r.Index, size)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, Inclusion{r, proof})
		}
		if next == "" {
			return all, checkpoint, nil
		}
		f.After = next
	}
}

// Holds reports whether the record is what its commitment was made of, and in the tree
// of that size and root.
func (i Inclusion) Holds(size int64, root tlog.Hash) bool {
	r := i.Record
	if r.Index < 0 || r.Index >= size || tlog.CheckRecord(i.Proof, size, root, r.Index, tlog.RecordHash(r.Commitment)) != nil {
		return false
	}
	return r.matches()
}

// tlogProofMagic begins a proof of C2SP tlog-proof.
const tlogProofMagic = "c2sp.org/tlog-proof@v1\n"

// AppendTlogProof writes a proof and its checkpoint in the form of C2SP tlog-proof.
func AppendTlogProof(dst []byte, index int64, proof []tlog.Hash, checkpoint []byte) []byte {
	dst = fmt.Appendf(dst, "%sindex %d\n", tlogProofMagic, index)
	for _, h := range proof {
		dst = append(base64.StdEncoding.AppendEncode(dst, h[:]), '\n')
	}
	return append(append(dst, '\n'), checkpoint...)
}

// ParseTlogProof reads what AppendTlogProof writes, and nothing else.
func ParseTlogProof(b []byte) (index int64, proof []tlog.Hash, checkpoint []byte, err error) {
	head, note, ok := strings.Cut(string(b), "\n\n")
	rest, ok2 := strings.CutPrefix(head, tlogProofMagic)
	lines := strings.Split(rest, "\n")
	number, ok3 := strings.CutPrefix(lines[0], "index ")
	if index, err = strconv.ParseInt(number, 10, 64); !ok || !ok2 || !ok3 || err != nil {
		return 0, nil, nil, ErrProof
	}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != tlog.HashSize {
			return 0, nil, nil, ErrProof
		}
		proof = append(proof, tlog.Hash(h))
	}
	if string(AppendTlogProof(nil, index, proof, []byte(note))) != string(b) {
		return 0, nil, nil, ErrProof
	}
	return index, proof, []byte(note), nil
}
