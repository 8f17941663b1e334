package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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

// other is a second process on the same database.
func (o *office) other(t *testing.T) *pgstore.Store {
	t.Helper()
	s, err := pgstore.New(pgstore.Config{Pool: o.pool, Audit: o.log})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// endSessions ends, as a restart of the database does, the sessions that hold names.
func (o *office) endSessions(t *testing.T) {
	t.Helper()
	if _, err := o.pool.Exec(t.Context(), `select pg_terminate_backend(pid) from pg_locks join pg_database d on d.oid = database
		where locktype = 'advisory' and objsubid = 1 and datname = current_database()`); err != nil {
		t.Fatal(err)
	}
}

// One holds a name at a time, in one process or in two; who loses the connection is
// told, and the next one follows.
func TestHold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	turns, results := make(chan context.Context), make(chan error)
	hold := func(s *pgstore.Store) {
		results <- s.Hold(ctx, "name", func(ctx context.Context) error {
			turns <- ctx
			<-ctx.Done()
			return nil
		})
	}
	go hold(o.Store)
	first := <-turns
	go hold(o.other(t))
	select {
	case <-turns:
		t.Fatal("two hold one name")
	case <-time.After(2 * pgstore.ClaimEvery):
	}
	o.endSessions(t)
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

// However many names a process holds, it takes one connection; each name goes to one
// after the other in the process too.
func TestHoldManyNames(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	outer, end := make(chan struct{}), make(chan struct{}) // keeps the session from beginning anew
	ended := make(chan error)
	go func() {
		ended <- o.Hold(t.Context(), "outer", func(context.Context) error { close(outer); <-end; return nil })
	}()
	<-outer
	const names, each = 20, 3
	var busy [names]atomic.Int32
	done := make(chan error)
	for name := range names {
		for range each {
			go func() {
				done <- o.Hold(t.Context(), fmt.Sprint(name), func(context.Context) error {
					if busy[name].Add(1) > 1 {
						t.Errorf("name %d is held twice", name)
					}
					var sessions int
					err := o.pool.QueryRow(t.Context(), `select count(distinct pid) from pg_locks join pg_database d on d.oid = database
						where locktype = 'advisory' and objsubid = 1 and datname = current_database()`).Scan(&sessions)
					if err != nil || sessions != 1 {
						t.Errorf("%d sessions, %v", sessions, err)
					}
					busy[name].Add(-1)
					return nil
				})
			}()
		}
	}
	for range names * each {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	close(end)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
