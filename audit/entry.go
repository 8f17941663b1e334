package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Entry is one act. Texts are for people and never hold a target's identity or
// content.
type Entry struct {
	Time    time.Time         `json:"time"`              // UTC, microseconds
	Actor   string            `json:"actor"`             // person or part of the system
	Role    string            `json:"role"`              // as which the actor did it
	Action  string            `json:"action"`            // such as "warrant.approve"
	Warrant string            `json:"warrant,omitempty"` // LIID
	Object  string            `json:"object,omitempty"`  // what else it was done to
	Reason  string            `json:"reason,omitempty"`
	Result  string            `json:"result"`           // "done", "refused", "begun", "failed"
	Source  string            `json:"source,omitempty"` // network address of the actor
	Detail  map[string]string `json:"detail,omitempty"`
}

// Limits of an entry; larger ones are refused.
const (
	maxTextBytes   = 4096
	maxDetails     = 32
	saltBytes      = 32
	canonicalMagic = "ligate-audit-entry/1\n"
)

func (e Entry) validate() error {
	if e.Time.Before(firstTime()) || !e.Time.Before(endTime()) || e.Actor == "" || e.Action == "" || e.Result == "" || len(e.Detail) > maxDetails {
		return ErrEntry
	}
	for _, s := range e.texts() {
		if !validText(*s) {
			return ErrEntry
		}
	}
	for k, v := range e.Detail {
		if !validText(k) || !validText(v) {
			return ErrEntry
		}
	}
	return nil
}

// Times that every part of the way can write: JSON ends with the year 9999.
func firstTime() time.Time { return time.Unix(0, 0).UTC() }
func endTime() time.Time   { return time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }

// validText holds for texts that JSON and Postgres give back as they were: what is
// not UTF-8 an export would change, and Postgres has no NUL.
func validText(s string) bool {
	return len(s) <= maxTextBytes && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// texts lists the text fields in the order of the canonical form.
func (e *Entry) texts() []*string {
	return []*string{&e.Actor, &e.Role, &e.Action, &e.Warrant, &e.Object, &e.Reason, &e.Result, &e.Source}
}

// canonical is the one encoding of an entry:
//
//	magic | time (int64 µs since 1970) | 8 × text | count of details | count × (key, value), keys ascending
//
// A text is its length (uint32) and its octets; integers are big-endian.
func (e Entry) canonical() []byte {
	b := append([]byte(canonicalMagic), 0, 0, 0, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint64(b[len(canonicalMagic):], uint64(e.Time.UnixMicro()))
	for _, s := range e.texts() {
		b = appendText(b, *s)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Detail)))
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		b = appendText(appendText(b, k), e.Detail[k])
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// parseCanonical reads exactly what canonical writes for valid entries.
func parseCanonical(b []byte) (Entry, error) {
	if len(b) < len(canonicalMagic)+8 || string(b[:len(canonicalMagic)]) != canonicalMagic {
		return Entry{}, ErrCanonical
	}
	b = b[len(canonicalMagic):]
	e := Entry{Time: time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC()}
	b = b[8:]
	var ok bool
	for _, s := range e.texts() {
		if *s, b, ok = cutText(b); !ok {
			return Entry{}, ErrCanonical
		}
	}
	if len(b) < 4 || binary.BigEndian.Uint32(b) > maxDetails {
		return Entry{}, ErrCanonical
	}
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	last := ""
	for i := range n {
		var k, v string
		if k, b, ok = cutText(b); !ok || i > 0 && k <= last {
			return Entry{}, ErrCanonical
		}
		if v, b, ok = cutText(b); !ok {
			return Entry{}, ErrCanonical
		}
		if e.Detail == nil {
			e.Detail = map[string]string{}
		}
		e.Detail[k], last = v, k
	}
	if len(b) != 0 || e.validate() != nil {
		return Entry{}, ErrCanonical
	}
	return e, nil
}

func cutText(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 4 {
		return "", nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if n > maxTextBytes || int(n) > len(b)-4 {
		return "", nil, false
	}
	return string(b[4 : 4+n]), b[4+n:], true
}

// commit is the leaf's content: what the tree holds of an entry.
func commit(salt, canonical []byte) []byte {
	h := sha256.New()
	h.Write([]byte("ligate-audit-leaf/1\n"))
	h.Write(salt)
	h.Write(canonical)
	return h.Sum(nil)
}
