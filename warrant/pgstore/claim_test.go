package pgstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/warrant/pgstore"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	claim := func(work string) *pgstore.Claims {
		t.Helper()
		c, err := o.Claim(t.Context(), work)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	take := func(c *pgstore.Claims, part int, want bool) {
		t.Helper()
		if got, err := c.Take(t.Context(), part); err != nil || got != want {
			t.Errorf("take %d: %v, %v, want %v", part, got, err, want)
		}
	}
	look := func(c *pgstore.Claims) pgstore.Standing {
		t.Helper()
		st, err := c.Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	a, b, elsewhere := claim("work"), claim("work"), claim("other work")
	take(a, 0, true)
	take(a, 5, true)
	take(b, 0, false)
	take(b, 1, true)
	take(elsewhere, 0, true)
	of := look(a)
	self, other := of.Self, look(b).Self
	if diff := cmp.Diff(map[int]int32{0: self, 5: self, 1: other}, of.Holder); diff != "" || len(of.Members) != 2 {
		t.Errorf("%d members, holders differ: %s", len(of.Members), diff)
	}
	if err := a.Leave(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	take(b, 0, true)
	a.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if got, err := b.Take(t.Context(), 5); err != nil {
			t.Fatal(err)
		} else if got {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("what was closed is still held")
		}
	}
	if _, err := a.Look(t.Context()); !errors.Is(err, pgstore.ErrLost) {
		t.Errorf("closed: %v", err)
	}
}

// One holds a name at a time; who loses the connection is told, and the next one
// follows.
func TestHold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	turns, results := make(chan context.Context), make(chan error)
	for range 2 {
		go func() {
			results <- o.Hold(ctx, "name", func(ctx context.Context) error {
				turns <- ctx
				<-ctx.Done()
				return nil
			})
		}()
	}
	first := <-turns
	select {
	case <-turns:
		t.Fatal("two hold one name")
	case <-time.After(2 * pgstore.ClaimEvery):
	}
	if _, err := o.pool.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_locks join pg_database d on d.oid = database where locktype = 'advisory' and datname = current_database() and objid = 1"); err != nil {
		t.Fatal(err)
	}
	second := <-turns
	if err := <-results; !errors.Is(err, pgstore.ErrLost) || first.Err() == nil {
		t.Errorf("the first one: %v, context %v", err, first.Err())
	}
	cancel()
	if err := <-results; err != nil || second.Err() == nil {
		t.Errorf("the second one: %v", err)
	}
	failed := errors.New("by itself")
	if err := o.Hold(t.Context(), "name", func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}
