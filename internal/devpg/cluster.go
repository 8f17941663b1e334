package devpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	socketPrefix = "ligate-pg-"
	port         = "5432" // only names the socket's file
	// maxSocketDir leaves room for the socket's own name: sun_path holds 108 octets.
	maxSocketDir = 85
)

// prepare makes the data folder once, and the socket's folder and the access rules
// at each start.
func (s *Server) prepare(ctx context.Context) error {
	if !s.enterable(s.dir) {
		return ErrUnreadable
	}
	if err := s.makeSocketDir(); err != nil {
		return err
	}
	if err := s.writeAccess(); err != nil {
		return err
	}
	if _, err := os.Stat(s.data()); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("database folder: %w", err)
	}
	return s.initdb(ctx)
}

func (s *Server) makeSocketDir() error {
	parent := os.TempDir()
	if len(parent)+len(socketPrefix) > maxSocketDir-10 || !s.enterable(parent) {
		parent = "/tmp"
	}
	socket, err := os.MkdirTemp(parent, socketPrefix)
	if err != nil {
		return fmt.Errorf("make socket folder: %w", err)
	}
	s.socket = socket
	// Noted so that the next start can remove it if we are killed.
	if err := os.WriteFile(filepath.Join(s.dir, "socket"), []byte(socket), 0o600); err != nil {
		return fmt.Errorf("note socket folder: %w", err)
	}
	return s.own(socket)
}

func (s *Server) removeSocket() {
	_ = os.RemoveAll(s.socket)
	_ = os.Remove(filepath.Join(s.dir, "socket"))
}

// removeOldSocket removes the socket's folder of a ligate that was killed.
func (s *Server) removeOldSocket() {
	b, err := os.ReadFile(filepath.Join(s.dir, "socket"))
	if err != nil || !strings.HasPrefix(filepath.Base(string(b)), socketPrefix) {
		return
	}
	_ = os.RemoveAll(string(b)) // what stays is an empty folder in /tmp
}

// writeAccess writes who may connect as what. See "Who gets in".
func (s *Server) writeAccess() error {
	var ident strings.Builder
	for _, role := range []string{RoleAdmin, RoleOwner, RoleApp} {
		fmt.Fprintf(&ident, "ligate \"%s\" %s\n", s.self, role)
	}
	for name, text := range map[string]string{"pg_hba.conf": "local all all peer map=ligate\n", "pg_ident.conf": ident.String()} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // the server's user reads it; it holds no secret
			return fmt.Errorf("write database access rules: %w", err)
		}
	}
	return nil
}

// initdb makes the data folder beside its place and then moves it there, so that a
// crash leaves no half of one.
func (s *Server) initdb(ctx context.Context) error {
	fresh := s.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("clear unfinished data folder: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if err := s.own(fresh); err != nil {
		return err
	}
	out, err := s.run(ctx, "initdb", "-D", fresh, "-U", RoleAdmin, "-A", "peer", "-E", "UTF8", "--locale=C", "--data-checksums", "--no-instructions")
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLine(out))
	}
	if err := os.Rename(fresh, s.data()); err != nil {
		return fmt.Errorf("put data folder in place: %w", err)
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

// populate makes the roles and the database that are not there yet.
func (s *Server) populate(ctx context.Context) (err error) {
	conn, err := pgx.Connect(ctx, s.url(RoleAdmin, "postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for _, role := range []string{RoleOwner, RoleApp} {
		var there bool
		err := conn.QueryRow(ctx, "select exists (select from pg_roles where rolname = $1)", role).Scan(&there)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		if _, err := conn.Exec(ctx, "create role "+role+" login"); err != nil {
			return err
		}
	}
	var there bool
	err = conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", database).Scan(&there)
	if err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, "create database "+database+" owner "+RoleOwner)
	return err
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
