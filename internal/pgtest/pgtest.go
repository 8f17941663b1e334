// Package pgtest gives tests a real Postgres: one private server a test binary,
// one fresh, migrated database a test, copied from a template.
package pgtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/internal/devpg"
	"github.com/ligate/ligate/migrations"
)

// Server is the Postgres of one test binary. Start it in TestMain.
type Server struct {
	url  string
	stop func() error

	template sync.Once
	made     error
	count    atomic.Int64
}

// Main runs the tests with a server and ends it afterwards, for use as
//
//	func TestMain(m *testing.M) { pgtest.Main(m, &server) }
func Main(m *testing.M, server **Server) {
	s, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		os.Exit(1)
	}
	*server = s
	code := m.Run()
	if err := s.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = 1
	}
	os.Exit(code)
}

func start() (*Server, error) {
	dir, err := os.MkdirTemp("", "ligate-pgtest-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	pg, err := devpg.New(devpg.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pg.Run(ctx) }()
	select {
	case <-pg.Ready():
	case err := <-done:
		cancel()
		return nil, err
	}
	return &Server{url: pg.URL(), stop: func() error {
		cancel()
		err := <-done
		_ = os.RemoveAll(dir)
		return err
	}}, nil
}

// URL returns the address of a fresh database with the newest schema.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	s.template.Do(func() { s.made = s.makeTemplate() })
	if s.made != nil {
		t.Fatal(s.made)
	}
	name := fmt.Sprintf("test_%d", s.count.Add(1))
	if err := s.exec("create database " + name + " template template_ligate"); err != nil {
		t.Fatal(err)
	}
	return s.named(name)
}

// Pool returns a pool on a fresh database; it closes with the test.
func (s *Server) Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), s.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (s *Server) makeTemplate() error {
	if err := s.exec("create database template_ligate"); err != nil {
		return err
	}
	return migrations.Up(context.Background(), s.named("template_ligate"))
}

func (s *Server) named(database string) string {
	return strings.Replace(s.url, "/ligate?", "/"+database+"?", 1)
}

func (s *Server) exec(sql string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	_ = conn.Close(ctx)
	return err
}
