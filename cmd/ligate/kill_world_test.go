package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/internal/devpg"
	"github.com/ligate/ligate/internal/pki"
)

// victim is one process, or Postgres with its children, that is killed and started
// again. One goroutine uses it.
type victim struct {
	name  string
	start func() error // returns once it serves
	kill  func() error // kill -9; returns once it is gone
}

// killWorld is an operator whose parts are processes of their own, and an agency.
type killWorld struct {
	*story

	gw       *demoPorts
	hi2, hi3 string
	pg       *killPG

	mu     sync.Mutex // guards the fields below, briefly
	faults []string   // of every LEMF that ran
	dead   []string   // processes that ended without having been killed
}

// newKillWorld prepares keys, configurations, the database and its server.
func newKillWorld(t *testing.T) *killWorld {
	t.Helper()
	w := &killWorld{story: newStory(t)}
	w.prepareLoad(t)
	w.gw = w.apart(t)
	w.pg = &killPG{dir: w.path("operator", "postgres"), link: w.path("pg")}
	if err := w.pg.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.pg.stop)
	w.editYAML(t, "center.yaml", "segment_every: 1s", "segment_every: 2s", "admin:", fmt.Sprintf("database: {url: %q}\nadmin:", w.pg.url(devpg.RoleApp)))
	ports, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	w.hi2, w.hi3 = ports.sip, ports.x1
	return w
}

// editYAML replaces pairs of texts that must be there.
func (st *story) editYAML(t *testing.T, file string, pairs ...string) {
	t.Helper()
	b, err := os.ReadFile(st.path(file))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(b, []byte(pairs[i])) {
			t.Fatalf("%s lacks %q", file, pairs[i])
		}
		b = bytes.ReplaceAll(b, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	write(t, st.path(file), b)
}

// killPG is a Postgres that others reach at one place, however often it is killed.
type killPG struct {
	dir, link string // link leads to the folder of its socket
	cancel    context.CancelFunc
	done      chan error
}

func (p *killPG) url(role string) string {
	q := url.Values{"host": {p.link}, "port": {"5432"}, "user": {role}, "sslmode": {"disable"}}
	return "postgres:///ligate?" + q.Encode()
}

func (p *killPG) start() error {
	pg, err := devpg.New(devpg.Config{Dir: p.dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.done = cancel, make(chan error, 1)
	go func() { p.done <- pg.Run(ctx) }()
	select {
	case <-pg.Ready():
	case err := <-p.done:
		p.done <- err
		return err
	}
	u, err := url.Parse(pg.AppURL())
	if err != nil {
		return err
	}
	if err := os.Symlink(u.Query().Get("host"), p.link+".new"); err != nil {
		return err
	}
	return os.Rename(p.link+".new", p.link)
}

// kill ends the postmaster; its children notice by themselves.
func (p *killPG) kill() error {
	b, err := os.ReadFile(filepath.Join(p.dir, "data", "postmaster.pid"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	if err := <-p.done; !errors.Is(err, devpg.ErrStopped) {
		return fmt.Errorf("the killed Postgres ended with %w", err)
	}
	p.done <- nil
	p.cancel()
	return nil
}

func (p *killPG) stop() {
	p.cancel()
	<-p.done
}

// number reads one figure of the database.
func (w *killWorld) number(ctx context.Context, sql string) (n int, err error) {
	conn, err := pgx.Connect(ctx, w.pg.url(devpg.RoleAdmin))
	if err != nil {
		return 0, err
	}
	err = conn.QueryRow(ctx, sql).Scan(&n)
	return n, errors.Join(err, conn.Close(ctx))
}

// process is a victim that is this binary as ligate. ready says whether it serves.
func (w *killWorld) process(name string, ready func() error, stderr io.Writer, args ...string) *victim {
	var cmd *exec.Cmd
	var ended chan struct{}
	var killed bool
	start := func() error {
		cmd, ended, killed = exec.Command(os.Args[0], args...), make(chan struct{}), false
		cmd.Env, cmd.Stderr = append(os.Environ(), asLigate+"=1"), stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		go func(cmd *exec.Cmd, ended chan struct{}) {
			_ = cmd.Wait() // the state tells
			close(ended)
		}(cmd, ended)
		for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			err := ready()
			if err == nil {
				return nil
			}
			select {
			case <-ended:
				return fmt.Errorf("%s does not start: %s", name, cmd.ProcessState)
			default:
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s does not serve: %w", name, err)
			}
		}
	}
	kill := func() error {
		if cmd == nil {
			return nil
		}
		select {
		case <-ended:
			if !killed {
				w.mu.Lock()
				w.dead = append(w.dead, fmt.Sprintf("%s: %s", name, cmd.ProcessState))
				w.mu.Unlock()
			}
			return nil
		default:
		}
		killed = true
		err := cmd.Process.Kill()
		<-ended
		return err
	}
	return &victim{name, start, kill}
}

// serves asks a node whether it is ready.
func serves(metrics string) func() error {
	return func() error {
		resp, err := http.Get("http://" + metrics + "/readyz")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New("not ready")
		}
		return nil
	}
}

// listens asks whether somebody listens at all of the addresses.
func listens(addrs ...string) func() error {
	return func() error {
		for _, addr := range addrs {
			conn, err := net.DialTimeout("tcp", addr, time.Second)
			if err != nil {
				return err
			}
			_ = conn.Close()
		}
		return nil
	}
}

// figure reads one figure of a node's LI listener, summed over its labels.
func (w *killWorld) figure(listen, folder, name string) (sum float64, err error) {
	own, err := pki.Load(w.path("people", "li.crt"), w.path("people", "li.key"))
	if err != nil {
		return 0, err
	}
	server, err := pki.Load(w.path(folder, "secrets", "li-metrics.crt"), w.path(folder, "secrets", "li-metrics.key"))
	if err != nil {
		return 0, err
	}
	transport := &http.Transport{TLSClientConfig: pki.Client(own, pki.Fingerprint(server.Certificate[0]))}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get("https://" + listen + "/metrics/li")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(key, "{"); base != name {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

// faultLines keeps a LEMF's faults, which come a line each.
type faultLines struct {
	w    *killWorld
	part []byte
}

// Write implements io.Writer.
func (f *faultLines) Write(b []byte) (int, error) {
	f.part = append(f.part, b...)
	for {
		line, rest, found := bytes.Cut(f.part, []byte("\n"))
		if !found {
			return len(b), nil
		}
		if text, ok := bytes.CutPrefix(line, []byte("fault: ")); ok {
			f.w.mu.Lock()
			f.w.faults = append(f.w.faults, string(text))
			f.w.mu.Unlock()
		}
		f.part = append([]byte(nil), rest...)
	}
}

// victims are the parts that are killed. They are not started yet, but Postgres.
func (w *killWorld) victims(t *testing.T) map[string]*victim {
	t.Helper()
	_, err := pki.LoadOrCreate(w.path("lemf-keys"), "lemf", pki.Spec{CommonName: "LEMF", Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	certs := w.certificates(t, "center.yaml")
	logs := func(name string) io.Writer {
		f, err := os.Create(w.path(name + ".stderr"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	all := map[string]*victim{
		"gateway":   w.process("gateway", serves(w.gw.metrics), logs("gateway"), "run", "--config", w.path("gateway.yaml"), "--role", "gateway"),
		"mediation": w.process("mediation", serves(w.world.ports.metrics), logs("mediation"), "run", "--config", w.path("center.yaml"), "--role", "mediation,admin"),
		"lemf": w.process("lemf", listens(w.hi2, w.hi3), &faultLines{w: w}, "agency", "listen", "--quiet", "--hi2", w.hi2, "--hi3", w.hi3,
			"--keys", w.path("lemf-keys"), "--dir", w.path("lemf"), "--client", certs["handover"], "--signer", w.path("operator", "secrets", "integrity.crt")),
		"postgres": {"postgres", w.pg.start, w.pg.kill},
	}
	t.Cleanup(func() {
		for _, name := range []string{"lemf", "mediation", "gateway"} {
			_ = all[name].kill()
		}
	})
	return all
}
