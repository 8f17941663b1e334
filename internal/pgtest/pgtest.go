// Package pgtest gives tests a real Postgres: one private server a test binary,
// one fresh, migrated database a test, copied from a template.
//
//	func TestX(t *testing.T) { pool := pgtest.New(t); … }
//
// The server starts with the first test that wants it and ends with the last one
// that holds it. A package whose tests run one after the other keeps it over all of
// them by TestMain:
//
//	func TestMain(m *testing.M) { pgtest.Main(m, &server) }
//
// LIGATE_TEST_PG names an outer server instead: a superuser's URL, on which the tests
// make databases of their own and drop them again.
//
// Tests connect as superuser, so that they can tamper as an operator could; AsApp is
// the connection of a deployment.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/internal/devpg"
	"github.com/ligate/ligate/migrations"
)

// Server is the Postgres of one test binary.
type Server struct {
	url    *url.URL
	prefix string // of the names of its databases: an outer server has other users
	end    func() error

	template sync.Once
	made     error
	count    atomic.Int64
}

// shared is the binary's server. A test binary has no other place for what its tests
// have in common.
//
//nolint:gochecknoglobals // see above
var shared struct {
	sync.Mutex // guards the rest, while the server starts or ends too
	server     *Server
	holders    int
}

// Main runs the tests with a server and ends it afterwards.
func Main(m *testing.M, server **Server) {
	os.Exit(run(m, server))
}

func run(m *testing.M, server **Server) (code int) {
	s, err := acquire()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	defer func() {
		if err := release(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}()
	*server = s
	return m.Run()
}

// Get returns the binary's server and holds it until the test ends.
func Get(t testing.TB) *Server {
	t.Helper()
	s, err := acquire()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// New returns a pool on a fresh database with the newest schema; both go with the
// test.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return Get(t).Pool(t)
}

func acquire() (*Server, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := start()
		if err != nil {
			return nil, err
		}
		shared.server = s
	}
	shared.holders++
	return shared.server, nil
}

func release() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.holders--; shared.holders > 0 {
		return nil
	}
	s := shared.server
	shared.server = nil
	return s.end()
}

func start() (*Server, error) {
	random := make([]byte, 6)
	_, _ = rand.Read(random) // never fails
	s := &Server{prefix: "ligate_test_" + hex.EncodeToString(random)}
	if outer := os.Getenv("LIGATE_TEST_PG"); outer != "" {
		u, err := url.Parse(outer)
		if err != nil {
			return nil, errors.New("LIGATE_TEST_PG is not a URL")
		}
		s.url, s.end = u, s.dropTemplate
		return s, nil
	}
	return s, s.startPrivate()
}

func (s *Server) startPrivate() (err error) {
	dir, err := os.MkdirTemp("", "ligate-pgtest-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the server's user passes through it
		return err
	}
	pg, err := devpg.New(devpg.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pg.Run(ctx) }()
	select {
	case <-pg.Ready():
	case err := <-done:
		cancel()
		return err
	}
	s.end = func() error {
		cancel()
		return errors.Join(<-done, os.RemoveAll(dir))
	}
	s.url, err = url.Parse(pg.AdminURL())
	return err
}

// URL returns the address of a fresh database with the newest schema; it is dropped
// after the test.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	s.template.Do(func() { s.made = s.makeTemplate() })
	if s.made != nil {
		t.Fatal(s.made)
	}
	return s.create(t, " template "+s.prefix)
}

// Empty returns the address of a fresh database without a schema.
func (s *Server) Empty(t testing.TB) string {
	t.Helper()
	return s.create(t, "")
}

func (s *Server) create(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("%s_%d", s.prefix, s.count.Add(1))
	if err := s.exec("create database " + name + template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.exec("drop database " + name + " with (force)"); err != nil {
			t.Error(err)
		}
	})
	return s.named(name)
}

// Pool returns a pool on a fresh database; it closes with the test.
func (s *Server) Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, s.URL(t), nil)
}

// AsApp returns a second pool on the database of pool that may do only what a
// deployment's ligate_app may.
func AsApp(t testing.TB, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	return open(t, pool.Config().ConnString(), func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "set session authorization "+devpg.RoleApp)
		return err
	})
}

func open(t testing.TB, url string, setUp func(context.Context, *pgx.Conn) error) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.AfterConnect = setUp
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// makeTemplate migrates the database that all others are copied from.
func (s *Server) makeTemplate() error {
	// Two test binaries may make the role on one outer server at once.
	if err := s.exec("do $$ begin create role " + devpg.RoleApp + "; exception when duplicate_object or unique_violation then null; end $$"); err != nil {
		return err
	}
	if err := s.exec("create database " + s.prefix); err != nil {
		return err
	}
	return migrations.Up(context.Background(), s.named(s.prefix))
}

func (s *Server) dropTemplate() error {
	return s.exec("drop database if exists " + s.prefix + " with (force)")
}

func (s *Server) named(database string) string {
	u := *s.url
	u.Path = "/" + database
	return u.String()
}

func (s *Server) exec(sql string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.url.String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}
