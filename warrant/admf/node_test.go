package admf_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/warrant/admf"
)

// within is how soon a change must have reached the gateway.
const within = time.Second

// patience bounds waits for what has no promised time; reaching it is a failure.
const patience = 20 * time.Second

// node is a gateway's X1 side: a real index behind a real TLS server on one
// address, which can be stopped and started empty as after a crash.
type node struct {
	t     *testing.T
	id    string
	own   tls.Certificate
	admf  tls.Certificate
	addr  string
	index *tasking.Index
	stop  func()

	clock  tasking.Config              // of the index; zero = the machine's
	server func(*tasking.ServerConfig) // changes the X1 server before it starts; nil = nothing
	seed   []li.Task                   // what stands in the index before it serves, as after a stale restart
}

func newNode(t *testing.T, id string) *node {
	t.Helper()
	n := &node{t: t, id: id, addr: "127.0.0.1:0", own: pair(t, x1.NEBinding(id)), admf: pair(t, x1.ADMFBinding("admf-1"))}
	n.start()
	t.Cleanup(func() { n.stop() })
	return n
}

// start serves an empty index.
func (n *node) start() {
	n.t.Helper()
	var err error
	if n.index, err = tasking.New(n.clock); err != nil {
		n.t.Fatal(err)
	}
	for _, task := range n.seed {
		if err := n.index.Activate(task); err != nil {
			n.t.Fatal(err)
		}
	}
	cfg := tasking.ServerConfig{NEID: n.id, ADMFID: "admf-1", Tasks: n.index, Now: n.clock.Wall}
	if n.server != nil {
		n.server(&cfg)
	}
	server, err := tasking.NewServer(cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	l, err := net.Listen("tcp", n.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.addr = l.Addr().String()
	srv := &http.Server{Handler: server, ReadHeaderTimeout: time.Second, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelError)}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // a node outlives t.Context while it is cleaned up
	ran := make(chan error, 2)
	index := n.index
	go func() { ran <- index.Run(ctx) }()
	go func() { ran <- server.Run(ctx) }()
	served := make(chan error, 1)
	go func() {
		served <- srv.Serve(tls.NewListener(l, pki.Server(n.own, pki.Fingerprint(n.admf.Certificate[0]))))
	}()
	n.stop = func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			n.t.Error(err)
		}
		cancel()
		if err := errors.Join(<-ran, <-ran); err != nil {
			n.t.Error(err)
		}
		n.stop = func() {}
	}
}

// client is the ADMF's client of this node.
func (n *node) client() *x1.Client {
	n.t.Helper()
	transport := &http.Transport{TLSClientConfig: pki.Client(n.admf, pki.Fingerprint(n.own.Certificate[0]))}
	n.t.Cleanup(transport.CloseIdleConnections)
	c, err := x1.NewClient(x1.ClientConfig{
		URL: "https://" + n.addr + x1.PathNE, ADMFID: "admf-1", NEID: n.id, HTTP: &http.Client{Transport: transport}, Timeout: 2 * time.Second,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// wait blocks until the index taps just these, and fails when that takes longer than limit.
func (n *node) wait(limit time.Duration, what string, want ...li.Task) {
	n.t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		changed := n.index.Changed()
		if same(n.index.Tasks(), want) {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			n.t.Fatalf("%s: after %v the gateway taps %d tasks, want %d as ordered", what, limit, len(n.index.Tasks()), len(want))
		}
	}
}

func same(got, want []li.Task) bool {
	if len(got) != len(want) {
		return false
	}
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || x1.Equal(g, w)
		}
		if !found {
			return false
		}
	}
	return true
}

func pair(t *testing.T, binding string) tls.Certificate {
	t.Helper()
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "x.crt"), filepath.Join(dir, "x.key")
	if err := pki.Create(crt, key, pki.Spec{CommonName: "x1 test", Names: []string{"127.0.0.1"}, URI: binding}); err != nil {
		t.Fatal(err)
	}
	cert, err := pki.Load(crt, key)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func iri(t *testing.T, number string) li.IRITask {
	t.Helper()
	id, err := li.NumberPlan{}.ParseTarget(number)
	if err != nil {
		t.Fatal(err)
	}
	return li.IRITask{XID: li.NewXID(), Targets: []li.Identity{id}, Until: time.Now().Add(time.Hour)}
}

func content(t *testing.T, number string) li.ContentTask {
	return li.ContentTask{IRITask: iri(t, number)}
}

// run starts an ADMF over the nodes and stops it with the test.
func run(t *testing.T, cfg admf.Config, nodes ...*node) *admf.ADMF {
	t.Helper()
	for _, n := range nodes {
		cfg.Gateways = append(cfg.Gateways, admf.Gateway{ID: n.id, Client: n.client()})
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a, err := admf.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	background(t, a.Run)
	return a
}

// background runs f until the test is over.
func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // ended in Cleanup, after which t.Context is over already
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
