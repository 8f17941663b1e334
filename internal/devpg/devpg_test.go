package devpg_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ligate/ligate/internal/devpg"
)

// helperEnv makes the test binary a ligate that serves the folder it names until it
// is killed.
const helperEnv = "LIGATE_DEVPG_TEST_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		os.Exit(help(dir))
	}
	os.Exit(m.Run())
}

func help(dir string) int {
	s, err := devpg.New(devpg.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 1
	}
	go func() {
		<-s.Ready()
		_, _ = os.Stdout.WriteString(s.AdminURL() + "\n")
	}()
	if err := s.Run(context.Background()); err != nil {
		return 1
	}
	return 0
}

type running struct {
	*devpg.Server
	stop func() error
}

func start(t *testing.T, dir string) running {
	t.Helper()
	s := server(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := func() error {
		cancel()
		err := <-done
		done <- nil
		return err
	}
	t.Cleanup(func() { _ = stop() })
	select {
	case <-s.Ready():
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return running{s, stop}
}

func server(t *testing.T, dir string) *devpg.Server {
	t.Helper()
	s, err := devpg.New(devpg.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// folder is a temporary folder that the server's user can pass through.
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

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		for _, v := range rows.RawValues() {
			got = append(got, string(v))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, " ")
}

func postmaster(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// awaitEnd returns once the process is gone.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			t.Fatal("the process did not end")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestStopAndStartKeepsData(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	query(t, first.URL(), "create table kept (n int)")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"data/postmaster.pid", "socket"} {
		if _, err := os.Stat(filepath.Join(dir, left)); err == nil {
			t.Errorf("%s is still there after a stop", left)
		}
	}
	second := start(t, dir)
	query(t, second.URL(), "insert into kept values (1)")
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := start(t, folder(t))
	for setting, want := range map[string]string{
		"data_checksums": "on", "fsync": "on", "listen_addresses": "", "log_statement": "none", "log_error_verbosity": "terse",
	} {
		if got := query(t, s.AdminURL(), "show "+setting); got != want {
			t.Errorf("%s: got %q, want %q", setting, got, want)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := start(t, folder(t))
	if got := query(t, s.URL(), "select current_user, usesuper::text from pg_user where usename = current_user"); got != "ligate_owner false" {
		t.Errorf("URL connects as %q", got)
	}
	if got := query(t, s.AppURL(), "select current_user, usesuper::text from pg_user where usename = current_user"); got != "ligate_app false" {
		t.Errorf("AppURL connects as %q", got)
	}
	conn, err := pgx.Connect(t.Context(), s.AppURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), "create table mine (n int)")
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "42501" { // insufficient_privilege
		t.Errorf("the application's role made a table: %v", err)
	}
}

// Another user of the machine is refused, even one who can reach the socket: the
// server's own user is the strongest case.
func TestOtherUsersAreRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to act as another user")
	}
	s := start(t, folder(t))
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("no user postgres")
	}
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("no psql")
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, url := range []string{s.AdminURL(), s.URL(), s.AppURL()} {
		cmd := exec.CommandContext(t.Context(), psql, "-X", "-c", "select 1", url)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "eer authentication failed") {
			t.Errorf("another user got in: %v %s", err, out)
		}
	}
}

func TestSecondStartOnOneFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	if err := server(t, dir).Run(t.Context()); !errors.Is(err, devpg.ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	query(t, first.URL(), "select 1") // the first is unharmed
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestClosedFolderIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the server runs as ourselves")
	}
	dir := folder(t)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := server(t, filepath.Join(dir, "pg")).Run(t.Context()); !errors.Is(err, devpg.ErrUnreadable) {
		t.Errorf("got %v, want ErrUnreadable", err)
	}
}

func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server(t, dir).Run(ctx) }()
	for { // stopped as soon as the server begins
		if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); err == nil {
			break
		}
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := start(t, dir).stop(); err != nil {
		t.Fatal(err)
	}
}

// The server is killed with everything it was doing; the next start recovers.
func TestRecoversFromKilledServer(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	query(t, first.URL(), "create table kept (n int)")
	query(t, first.URL(), "insert into kept values (1)")
	if err := syscall.Kill(postmaster(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := first.stop(); err != nil && !errors.Is(err, devpg.ErrStopped) {
		t.Fatal(err)
	}
	second := start(t, dir)
	if got := query(t, second.URL(), "select count(*)::text from kept"); got != "1" {
		t.Errorf("%s rows after recovery, want 1", got)
	}
}

// ligate is killed: its server ends with it, and the next ligate starts at once.
func TestServerEndsWithKilledParent(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	query(t, strings.TrimSpace(url), "create table kept (n int)")
	if err := server(t, dir).Run(t.Context()); !errors.Is(err, devpg.ErrInUse) {
		t.Errorf("beside a living process: got %v, want ErrInUse", err)
	}
	pid := postmaster(t, dir)
	oldSocket, err := os.ReadFile(filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	awaitEnd(t, pid)
	next := start(t, dir)
	query(t, next.AdminURL(), "insert into kept values (1)")
	if _, err := os.Stat(string(oldSocket)); err == nil {
		t.Error("the killed process's socket folder is still there")
	}
}

// A server outlived its ligate: the next start stops it and takes over.
func TestTakesOverFromOrphan(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	query(t, first.URL(), "create table kept (n int)")
	orphan := orphanCommand(t, dir, postmaster(t, dir))
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()
	awaitStatus(t, dir, ended)
	second := start(t, dir)
	if err := <-ended; err != nil {
		t.Errorf("the orphan did not end cleanly: %v", err)
	}
	query(t, second.URL(), "insert into kept values (1)")
}

// orphanCommand is a server on dir without a ligate, of the program and user of pid.
func orphanCommand(t *testing.T, dir string, pid int) *exec.Cmd {
	t.Helper()
	exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	cmd := exec.CommandContext(t.Context(), exe, "-D", data, "-k", data, "-c", "listen_addresses=")
	cmd.Dir = "/"
	if st := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: st.Uid, Gid: st.Gid}}
	}
	return cmd
}

// awaitStatus returns once the server's pid file says that it is ready.
func awaitStatus(t *testing.T, dir string, ended <-chan error) {
	t.Helper()
	for {
		b, _ := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
		if strings.Contains(string(b), "\nready") {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("the orphan ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// The pid file names a living process that is no server of ours: it is left alone,
// and the start succeeds.
func TestStalePIDOfAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := start(t, dir).stop(); err != nil {
		t.Fatal(err)
	}
	stale := strconv.Itoa(os.Getpid()) + "\n" + filepath.Join(dir, "data") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	query(t, start(t, dir).URL(), "select 1")
}

// A first start that was killed leaves half of a data folder, which is not used.
func TestUnfinishedDataFolderIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	half := filepath.Join(dir, "data.new")
	if err := os.Mkdir(half, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	query(t, start(t, dir).URL(), "select 1")
}
