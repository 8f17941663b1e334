package audit_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/devpg"
	"github.com/ligate/ligate/migrations"
)

// Postgres is killed while entries are written. Each that was acknowledged is there
// afterwards, the log is whole and goes on.
func TestKillOfTheDatabaseLosesNothing(t *testing.T) {
	t.Parallel()
	l, verifier := newLog(t)
	dir, err := os.MkdirTemp("", "ligate-audit-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	pg, stop := startPostgres(t, dir)
	if err := migrations.Up(t.Context(), pg.URL()); err != nil {
		t.Fatal(err)
	}
	pool := openPool(t, pg.AppURL())
	var acknowledged atomic.Int64
	enough := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if _, err := l.Record(t.Context(), pool, entry(i)); err != nil {
					return // killed
				}
				if acknowledged.Add(1) == 30 {
					once.Do(func() { close(enough) })
				}
			}
		})
	}
	<-enough
	killPostmaster(t, dir)
	wg.Wait()
	pool.Close()
	_ = stop() // it says that the server stopped by itself

	pg, _ = startPostgres(t, dir)
	pool = openPool(t, pg.AppURL())
	if _, err := l.Record(t.Context(), pool, entry(0)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := l.Export(t.Context(), pool, &out); err != nil {
		t.Fatal(err)
	}
	r, err := audit.Verify(strings.NewReader(out.String()), verifier)
	if err != nil || !r.OK() {
		t.Errorf("report %+v, %v", r, err)
	}
	// A commit whose answer was lost may be there too: one for each writer at most.
	if most := acknowledged.Load() + 1 + 3; r.Entries < acknowledged.Load()+1 || r.Entries > most {
		t.Errorf("%d entries, want %d to %d", r.Entries, acknowledged.Load()+1, most)
	}
}

func startPostgres(t *testing.T, dir string) (pg *devpg.Server, stop func() error) {
	t.Helper()
	pg, err := devpg.New(devpg.Config{Dir: filepath.Join(dir, "pg"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pg.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	select {
	case <-pg.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return pg, stop
}

func openPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func killPostmaster(t *testing.T, dir string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "pg", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
