package devpg

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// findBinaries looks where pg_config says and in Debian's folders, newest first.
func findBinaries() (string, error) {
	var dirs []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well-formed
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

// findUsers returns the user we run as and whom to run the server as: Postgres
// refuses root.
func findUsers(wanted string) (self string, owner *syscall.Credential, err error) {
	us, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil {
		return "", nil, fmt.Errorf("database user: ligate's own user has no name: %w", err)
	}
	if os.Geteuid() != 0 {
		return us.Username, nil, nil
	}
	names := []string{"postgres", "nobody"}
	if wanted != "" {
		names = []string{wanted}
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return us.Username, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return "", nil, ErrNoUser
}

// enterable reports whether the server's user can pass through dir and all above
// it. It looks at the mode bits; what access control lists add is not seen.
func (s *Server) enterable(dir string) bool {
	if s.owner == nil {
		return true
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		bit := uint32(0o001)
		switch {
		case st.Uid == s.owner.Uid:
			bit = 0o100
		case st.Gid == s.owner.Gid:
			bit = 0o010
		}
		if uint32(st.Mode)&bit == 0 {
			return false
		}
		if dir == "/" {
			return true
		}
		dir = filepath.Dir(dir)
	}
}
