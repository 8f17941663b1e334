package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
)

func newCosigner(t *testing.T, name string) (*audit.Cosigner, note.Verifier) {
	t.Helper()
	secret, vkey, err := audit.NewCosignerKey(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := audit.NewCosigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	v, err := audit.NewWitnessVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return c, v
}

// cosign has the newest tree signed and cosigned as of at.
func cosign(t *testing.T, l *audit.Log, pool *pgxpool.Pool, c *audit.Cosigner, at time.Time) {
	t.Helper()
	checkpoint, err := l.Checkpoint(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	line, err := c.Cosign(checkpoint, at)
	if err != nil {
		t.Fatal(err)
	}
	size, err := l.Size(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.KeepCosignature(t.Context(), pool, audit.Cosignature{Size: size, Witness: c.Name(), Line: line}); err != nil {
		t.Fatal(err)
	}
}

// An export shows offline which witness signed what, and which entries stood too long
// without.
func TestVerifyLooksAtWitnesses(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	add := func(l *audit.Log, pool *pgxpool.Pool, minutes ...int) {
		for _, m := range minutes {
			e := entry(m)
			e.Time = begin.Add(time.Duration(m) * time.Minute)
			if _, err := l.Record(t.Context(), pool, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := func(m int) time.Time { return begin.Add(time.Duration(m) * time.Minute) }
	w1, v1 := newCosigner(t, "w1")
	w2, v2 := newCosigner(t, "w2")
	_, v3 := newCosigner(t, "w3")
	for name, tt := range map[string]struct {
		make func(*audit.Log, *pgxpool.Pool)
		want string // fault; empty = none
		says string
	}{
		"in time": {func(l *audit.Log, p *pgxpool.Pool) {
			add(l, p, 0, 1)
			cosign(t, l, p, w1, after(2))
			add(l, p, 3, 4)
			cosign(t, l, p, w2, after(5))
			cosign(t, l, p, w1, after(6))
			add(l, p, 7)
		}, "", "[{w1 2 4} {w2 1 4} {w3 0 0}] 1"},
		"late": {func(l *audit.Log, p *pgxpool.Pool) {
			add(l, p, 0, 1)
			cosign(t, l, p, w1, after(40))
		}, "entries 0 to 1: not witnessed for 40m0s", "[{w1 1 2} {w2 0 0} {w3 0 0}] 0"},
		"one witness was late, another not": {func(l *audit.Log, p *pgxpool.Pool) {
			add(l, p, 0)
			cosign(t, l, p, w2, after(1))
			cosign(t, l, p, w1, after(40))
		}, "", "[{w1 1 1} {w2 1 1} {w3 0 0}] 0"},
		"never again": {func(l *audit.Log, p *pgxpool.Pool) {
			add(l, p, 0)
			cosign(t, l, p, w1, after(1))
			add(l, p, 3, 60)
		}, "entries 1 to 2: no witness cosigned them, for 57m0s", "[{w1 1 1} {w2 0 0} {w3 0 0}] 2"},
		"of another checkpoint": {func(l *audit.Log, p *pgxpool.Pool) {
			add(l, p, 0)
			cosign(t, l, p, w1, after(1))
			add(l, p, 2)
			cosign(t, l, p, w1, after(3))
			tamper(t, p, "update audit_cosignature set line = (select line from audit_cosignature where size = 1) where size = 2")
		}, "checkpoint of size 2: the cosignature of witness w1 is not of it", "[{w1 1 1} {w2 0 0} {w3 0 0}] 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, key := newLog(t)
			pool := server.Pool(t)
			tt.make(l, pool)
			r, err := audit.VerifyWith(strings.NewReader(export(t, l, pool)), audit.Options{Key: key, Witnesses: []note.Verifier{v1, v2, v3}, MaxGap: 10 * time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(r.Faults, "\n"); r.OK() != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("faults %q, want one with %q", got, tt.want)
			}
			var all []string
			for _, w := range r.Witnesses {
				all = append(all, fmt.Sprintf("{%s %d %d}", w.Name, w.Checkpoints, w.Size))
			}
			if got := fmt.Sprintf("%s %d", all, r.Unwitnessed); got != tt.says {
				t.Errorf("says %s, want %s", got, tt.says)
			}
		})
	}
}
