package devpg_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/internal/devpg"
)

type running struct {
	*devpg.Server
	stop func() error
}

func start(t *testing.T, dir string) running {
	t.Helper()
	s, err := devpg.New(devpg.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(cancel)
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return running{s, func() error { cancel(); return <-done }}
}

func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ligate-devpg-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func exec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestStopAndStartKeepsData(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	exec(t, first.URL(), "create table kept (n int)")
	if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); err != nil {
		t.Error(err)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir)
	exec(t, second.URL(), "insert into kept values (1)")
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestSecondStartOnOneFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	s, err := devpg.New(devpg.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); !errors.Is(err, devpg.ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	exec(t, first.URL(), "select 1") // the first is unharmed
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
}

// The server is killed with everything it was doing; the next start recovers.
func TestRecoversFromKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	exec(t, first.URL(), "create table kept (n int)")
	exec(t, first.URL(), "insert into kept values (1)")
	b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
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
	if err := first.stop(); err != nil && !errors.Is(err, devpg.ErrStopped) {
		t.Fatal(err)
	}
	second := start(t, dir)
	exec(t, second.URL(), "insert into kept values (2)")
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
}
