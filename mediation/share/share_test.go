package share_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/mediation/share"
	"github.com/ligate/ligate/warrant/pgstore"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

func newStore(t *testing.T, pool *pgxpool.Pool) *pgstore.Store {
	t.Helper()
	secret, _, err := audit.NewKey("test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(audit.Config{Origin: "test", Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	store, err := pgstore.New(pgstore.Config{Pool: pool, Audit: log})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

const parts = 16

// floor is where the members work: it sees to it that no part is worked on twice.
type floor struct {
	t     *testing.T
	blind bool // who loses its session learns it a little later than the others

	mu   sync.Mutex // guards the rest
	by   map[int]string
	runs int
}

func (f *floor) share(name string) map[int]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	has := map[int]bool{}
	for part, who := range f.by {
		if who == name {
			has[part] = true
		}
	}
	return has
}

// work runs one part; failing makes it end by itself, once.
func (f *floor) work(name string, failing *sync.Once) func(context.Context, int, func(context.Context) error) error {
	return func(ctx context.Context, part int, owns func(context.Context) error) error {
		f.mu.Lock()
		if other := f.by[part]; other != "" && !f.blind {
			f.t.Errorf("%s and %s work on part %d", other, name, part)
		}
		f.by[part] = name
		f.runs++
		f.mu.Unlock()
		var failed error
		failing.Do(func() { failed = errors.New("by itself") })
		if failed == nil {
			if err := owns(ctx); err != nil && ctx.Err() == nil && !f.blind {
				f.t.Errorf("%s works on part %d: %v", name, part, err)
			}
			<-ctx.Done()
			if err := owns(context.WithoutCancel(ctx)); err != nil && !f.blind {
				f.t.Errorf("%s left part %d before its work ended: %v", name, part, err)
			}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.by[part] == name {
			delete(f.by, part)
		}
		return failed
	}
}

// member runs a sharer until the returned function or the test's end.
func (f *floor) member(pool *pgxpool.Pool, name string) (stop func()) {
	f.t.Helper()
	s, err := share.New(share.Config{
		Store: newStore(f.t, pool), Work: "test", Parts: parts, Run: f.work(name, &sync.Once{}), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(stop)
	return stop
}

// await waits until the members have shares of these sizes.
func (f *floor) await(want map[string]int) time.Duration {
	f.t.Helper()
	begin := time.Now()
	for ; ; time.Sleep(20 * time.Millisecond) {
		even := true
		for name, n := range want {
			even = even && len(f.share(name)) == n
		}
		if even {
			return time.Since(begin)
		}
		if time.Since(begin) > 30*time.Second {
			f.t.Fatalf("parts are at %v, want %v", f.by, want)
		}
	}
}

// Members come and go; each part is worked on by one of them, and shares are even
// soon after.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	pool := pgtest.AsApp(t, server.Pool(t)) // what a deployment's role may do is enough
	f := &floor{t: t, by: map[int]string{}}
	stopA := f.member(pool, "a")
	f.await(map[string]int{"a": 16})
	f.member(pool, "b")
	f.await(map[string]int{"a": 8, "b": 8})
	stopC := f.member(pool, "c")
	f.await(map[string]int{"a": 6, "b": 5, "c": 5})
	stopA()
	f.await(map[string]int{"a": 0, "b": 8, "c": 8})
	stopC()
	f.await(map[string]int{"a": 0, "b": 16, "c": 0})
}

// When the database ends every session, as at its restart, work goes on soon after.
func TestSessionsAreLost(t *testing.T) {
	t.Parallel()
	pool := server.Pool(t)
	f := &floor{t: t, by: map[int]string{}, blind: true}
	f.member(pool, "a")
	f.member(pool, "b")
	f.await(map[string]int{"a": 8, "b": 8})
	f.mu.Lock()
	before := f.runs
	f.mu.Unlock()
	if _, err := pool.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_locks join pg_database d on d.oid = database where locktype = 'advisory' and datname = current_database()"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		f.mu.Lock()
		again := f.runs >= before+parts
		f.mu.Unlock()
		if again {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the work did not begin again")
		}
	}
	f.await(map[string]int{"a": 8, "b": 8})
}

// A process that hangs, or whose machine is gone, is silent: others have its parts
// within ten seconds.
func TestSilentMember(t *testing.T) {
	t.Parallel()
	pool := server.Pool(t)
	silent, err := newStore(t, pool).Claim(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for part := range 8 {
		if taken, err := silent.Take(t.Context(), part); err != nil || !taken {
			t.Fatal(taken, err)
		}
	}
	f := &floor{t: t, by: map[int]string{}}
	f.member(pool, "a")
	for len(f.share("a")) < 8 { // silent from then on
		if _, err := silent.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if took := f.await(map[string]int{"a": 16}); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if _, err := silent.Look(t.Context()); !errors.Is(err, pgstore.ErrLost) {
		t.Errorf("the silent one still believes: %v", err)
	}
}
