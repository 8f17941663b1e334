package devpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopOrphan ends a server that outlived its ligate and clears what it left. We hold
// the lock, so no living ligate uses it.
func (s *Server) stopOrphan(ctx context.Context) error {
	defer s.removeOldSocket()
	pid := s.postmasterPID()
	if pid == 0 {
		return nil
	}
	if s.serves(pid) {
		s.log.WarnContext(ctx, "stopping the database server of a ligate that was killed", slog.Int("pid", pid))
		if err := s.endOrphan(ctx, pid); err != nil {
			return err
		}
	}
	// The number may by now belong to an unrelated process, for which Postgres would
	// refuse to start.
	err := os.Remove(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear left-over database server: %w", err)
	}
	return nil
}

func (s *Server) endOrphan(ctx context.Context, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop left-over database server: %w", err)
	}
	deadline := time.Now().Add(stopTimeout)
	for s.serves(pid) {
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

// serves reports whether the process is a Postgres on our data folder. A postmaster
// works in its data folder, whatever name it was given for it.
func (s *Server) serves(pid int) bool {
	data, err := filepath.EvalSymlinks(s.data())
	if err != nil {
		return false
	}
	proc := "/proc/" + strconv.Itoa(pid)
	cwd, err := os.Readlink(proc + "/cwd")
	if err != nil || cwd != data {
		return false
	}
	exe, err := os.Readlink(proc + "/exe")
	return err == nil && strings.HasPrefix(filepath.Base(exe), "postgres")
}
