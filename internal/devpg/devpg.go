package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
)

// The roles; see the package comment.
const (
	RoleAdmin = "ligate"
	RoleOwner = "ligate_owner"
	RoleApp   = "ligate_app"
)

const database = "ligate"

// Config is what a Server needs; fields without a default are required.
type Config struct {
	Dir  string // its own folder; made if it is not there
	Log  *slog.Logger
	User string // whom the server runs as when ligate is root; default postgres, else nobody
}

// Server is one private Postgres.
type Server struct {
	dir    string
	log    *slog.Logger
	bin    string              // folder of initdb and postgres
	self   string              // the user that ligate runs as
	owner  *syscall.Credential // whom the server runs as; nil = ourselves
	socket string              // folder of the Unix socket; written before Ready closes
	ready  chan struct{}
}

// New finds the binaries and the users; it starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Dir == "" || cfg.Log == nil {
		return nil, errors.New("devpg: Dir and Log are required")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("database folder: %w", err)
	}
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	self, owner, err := findUsers(cfg.User)
	if err != nil {
		return nil, err
	}
	return &Server{dir: dir, log: cfg.Log, bin: bin, self: self, owner: owner, ready: make(chan struct{})}, nil
}

// Ready is closed once the server takes connections and the roles are there.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// URL reaches the database as its owner, for the migrations; valid once Ready.
func (s *Server) URL() string { return s.url(RoleOwner, database) }

// AppURL reaches the database as the role that owns nothing; valid once Ready. It
// sees the tables once migrations.Up ran.
func (s *Server) AppURL() string { return s.url(RoleApp, database) }

// AdminURL reaches the database as superuser, for tests; valid once Ready.
func (s *Server) AdminURL() string { return s.url(RoleAdmin, database) }

func (s *Server) url(role, database string) string {
	q := url.Values{"host": {s.socket}, "port": {port}, "user": {role}, "sslmode": {"disable"}}
	return "postgres:///" + database + "?" + q.Encode()
}

// Run starts the server and keeps it until ctx ends, which is no error; then it
// stops it cleanly. ErrInUse means that another ligate holds the folder.
func (s *Server) Run(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.dir, 0o711); err != nil {
		return fmt.Errorf("make database folder: %w", err)
	}
	lock, err := lockDir(s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := s.stopOrphan(ctx); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	defer s.removeSocket()
	return s.serve(ctx)
}

// lockDir takes the lock that says who serves the folder. The kernel drops it with
// the process, and no child inherits it.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "ligate.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, ErrInUse
	}
	return f, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }
