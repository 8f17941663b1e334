package devpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const (
	startTimeout  = 30 * time.Second
	startAttempts = 20
	stopTimeout   = 20 * time.Second
	probeEvery    = 50 * time.Millisecond
)

// process is one run of a program as the server's user.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once it ended
	err    error         // of its end; read after exited
}

// launch starts a program that the kernel sends death when we end. The kernel counts
// the end of the thread that started it, so one thread is kept for its whole life.
func (s *Server) launch(out io.Writer, death syscall.Signal, name string, args ...string) (*process, error) {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own: Ctrl-C is for ligate, which then stops the server.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true, Pdeathsig: death}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// run runs a program to its end.
func (s *Server) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	p, err := s.launch(&out, syscall.SIGKILL, name, args...)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // its group; it may have ended
		<-p.exited
	}
	return out.Bytes(), p.err
}

// serve keeps a server running until ctx ends.
func (s *Server) serve(ctx context.Context) error {
	logFile, err := os.OpenFile(filepath.Join(s.dir, "postgres.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open database log: %w", err)
	}
	defer logFile.Close()
	p, err := s.start(ctx, logFile)
	if ctx.Err() != nil {
		return s.stop(p)
	}
	if err != nil {
		return errors.Join(err, s.stop(p))
	}
	close(s.ready)
	select {
	case <-p.exited:
		return ErrStopped
	case <-ctx.Done():
		return s.stop(p)
	}
}

// start returns once the server answers. After a crash the last processes of the
// old server may still be ending, for which Postgres refuses to start: it tries
// again.
func (s *Server) start(ctx context.Context, logFile *os.File) (p *process, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for range startAttempts {
		p, err = s.launch(logFile, syscall.SIGINT, "postgres", s.settings()...)
		if err != nil {
			return nil, err
		}
		if err = s.await(ctx, p); !errors.Is(err, errExited) {
			return p, err
		}
		select {
		case <-ctx.Done():
			return p, ErrNotReady
		case <-time.After(5 * probeEvery):
		}
	}
	return p, ErrNotReady
}

func (s *Server) settings() []string {
	args := []string{"-D", s.data(), "-k", s.socket, "-p", port}
	for _, setting := range []string{
		"listen_addresses=", "unix_socket_permissions=0700",
		"hba_file=" + filepath.Join(s.dir, "pg_hba.conf"), "ident_file=" + filepath.Join(s.dir, "pg_ident.conf"),
		"fsync=on", "full_page_writes=on", "synchronous_commit=on",
		// Statements and details of errors hold values: identities among them.
		"log_statement=none", "log_min_error_statement=panic", "log_error_verbosity=terse",
		"log_parameter_max_length=0", "log_parameter_max_length_on_error=0", "log_min_duration_statement=-1",
		"max_connections=100", "shared_buffers=64MB", "timezone=UTC",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

// await returns once the roles and the database are there.
func (s *Server) await(ctx context.Context, p *process) error {
	for {
		if err := s.populate(ctx); err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return errExited
		case <-ctx.Done():
			return ErrNotReady
		case <-time.After(probeEvery):
		}
	}
}

// stop asks for a fast shutdown and waits for it. Nothing to do for nil.
func (s *Server) stop(p *process) error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		<-p.exited
		return ErrKilled
	}
}
