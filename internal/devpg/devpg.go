// Package devpg runs a private Postgres for a deployment that names none: made by
// initdb in a folder of its own from the system's binaries, reached over a Unix
// socket only, as an unprivileged user when ligate runs as root.
//
// Invariants:
//   - One folder is served by one ligate at a time: a lock on a file in it decides,
//     and it dies with its holder.
//   - A server left over from a holder that was killed is stopped before a new one
//     starts; Postgres then recovers from its log.
//   - No TCP port is opened. The socket's folder is open to the server's user and
//     ours only.
package devpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Errors of the private Postgres.
var (
	ErrInUse     = errors.New("another ligate runs on this database folder: stop it first, or give this one its own data_dir")
	ErrNoBinary  = errors.New("no Postgres server found: install Debian's postgresql, or set database.url")
	ErrStopped   = errors.New("the private Postgres stopped by itself: see postgres.log in its folder")
	errNotReady  = errors.New("the private Postgres did not become ready: see postgres.log in its folder")
	errUserFound = errors.New("no unprivileged user for Postgres: want postgres or nobody")
)

const (
	superuser    = "ligate"
	database     = "ligate"
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
	probeEvery   = 50 * time.Millisecond
)

// Config is what a Server needs; all fields are required.
type Config struct {
	Dir string // its own folder; made if it is not there
	Log *slog.Logger
}

// Server is one private Postgres.
type Server struct {
	dir    string
	log    *slog.Logger
	bin    string              // folder of initdb and postgres
	owner  *syscall.Credential // whom the server runs as; nil = ourselves
	socket string              // folder of the Unix socket
	ready  chan struct{}
}

// New finds the binaries and the user; it starts nothing.
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
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	return &Server{dir: dir, log: cfg.Log, bin: bin, owner: owner, ready: make(chan struct{})}, nil
}

// findBinaries looks where pg_config says and in Debian's folders, newest first.
func findBinaries() (string, error) {
	var dirs []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for i := len(found) - 1; i >= 0; i-- {
		dirs = append(dirs, found[i])
	}
	for _, dir := range append(dirs, "/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin") {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", ErrNoBinary
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0 && !info.IsDir()
}

// unprivileged returns whom to run the server as: Postgres refuses root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errUserFound
}

// Ready is closed once the server takes connections.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// URL is how to reach the database; valid once Ready.
func (s *Server) URL() string {
	q := url.Values{"host": {s.socket}, "user": {superuser}, "sslmode": {"disable"}}
	return "postgres:///" + database + "?" + q.Encode()
}

// Run starts the server, keeps it until ctx ends and stops it cleanly. ErrInUse
// means that another ligate holds the folder.
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
	defer func() { _ = os.RemoveAll(s.socket) }()
	return s.serve(ctx)
}

// lockDir takes the lock that says who serves the folder. It ends with the
// process, however that ends.
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

// stopOrphan ends a server whose ligate was killed. We hold the lock, so nobody
// else's ligate uses it.
func (s *Server) stopOrphan(ctx context.Context) error {
	pid := s.postmasterPID()
	if pid == 0 || !s.isPostgres(pid) {
		return nil
	}
	s.log.WarnContext(ctx, "stopping the database server of a ligate that was killed", slog.Int("pid", pid))
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop left-over database server: %w", err)
	}
	deadline := time.Now().Add(stopTimeout)
	for s.isPostgres(pid) {
		if time.Now().After(deadline) {
			return ErrInUse
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(probeEvery):
		}
	}
	return nil
}

// postmasterPID reads the first line of postmaster.pid; 0 = none.
func (s *Server) postmasterPID() int {
	b, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}

// isPostgres reports whether the process is a Postgres on our data folder: the
// number may long belong to somebody else.
func (s *Server) isPostgres(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.Contains(string(b), s.data())
}

// prepare makes the data folder once and the socket's folder at each start.
func (s *Server) prepare(ctx context.Context) error {
	socket, err := os.MkdirTemp("", "ligate-pg-") // Unix socket paths must be short
	if err != nil {
		return fmt.Errorf("make socket folder: %w", err)
	}
	s.socket = socket
	if err := s.own(socket); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.data(), "PG_VERSION")); err == nil {
		return nil
	}
	if err := os.MkdirAll(s.data(), 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if err := s.own(s.data()); err != nil {
		return err
	}
	cmd := s.command(ctx, "initdb", "-D", s.data(), "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLine(out))
	}
	return nil
}

// own gives a folder to the server's user.
func (s *Server) own(dir string) error {
	if s.owner == nil {
		return nil
	}
	if err := os.Chown(dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
		return fmt.Errorf("give folder to the database user: %w", err)
	}
	return nil
}

// command runs as the server's user and dies with us.
func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	return cmd
}

func (s *Server) serve(ctx context.Context) error {
	logFile, err := os.OpenFile(filepath.Join(s.dir, "postgres.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open database log: %w", err)
	}
	defer logFile.Close()
	// Not bound to ctx: the server is stopped by signal, not killed.
	cmd := s.command(context.WithoutCancel(ctx), "postgres", "-D", s.data(), "-k", s.socket, "-c", "listen_addresses=",
		"-c", "unix_socket_permissions=0700", "-c", "log_statement=none", "-c", "log_min_error_statement=panic",
		"-c", "log_error_verbosity=terse", "-c", "log_parameter_max_length_on_error=0", "-c", "max_connections=100",
		"-c", "shared_buffers=64MB", "-c", "password_encryption=scram-sha-256")
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start database server: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	if err := s.await(ctx, exited); err != nil {
		return errors.Join(err, s.stop(cmd, exited))
	}
	close(s.ready)
	select {
	case <-exited:
		return ErrStopped
	case <-ctx.Done():
		return s.stop(cmd, exited)
	}
}

// await returns once the database is there and answers.
func (s *Server) await(ctx context.Context, exited chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := s.createDatabase(ctx)
		if err == nil {
			return nil
		}
		select {
		case err := <-exited:
			exited <- err
			return errNotReady
		case <-ctx.Done():
			return errNotReady
		case <-time.After(probeEvery):
		}
	}
}

func (s *Server) createDatabase(ctx context.Context) (err error) {
	conn, err := pgx.Connect(ctx, strings.Replace(s.URL(), "/"+database+"?", "/postgres?", 1))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var there bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", database).Scan(&there); err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, "create database "+pgx.Identifier{database}.Sanitize())
	return err
}

// stop asks for a fast shutdown and waits for it.
func (s *Server) stop(cmd *exec.Cmd, exited chan error) error {
	_ = cmd.Process.Signal(os.Interrupt) // it may have exited
	select {
	case <-exited:
		return nil
	case <-time.After(stopTimeout):
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		<-exited
		return errors.New("the private Postgres had to be stopped at once; it recovers at the next start")
	}
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
