// Package natstest gives tests a NATS cluster as an operator would run it: nats-server
// processes of their own on loopback ports, with JetStream and mutual TLS, which a
// test may kill and start again. The server is built from the module that the bus
// embeds; LIGATE_TEST_NATS names another binary instead.
package natstest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ligate/ligate/internal/pki"
)

// Cluster is the running servers.
type Cluster struct {
	URLs     []string
	CA       string // PEM file of who may take part
	Cert     string // a client's certificate and key
	Key      string
	Dir      string // all servers' files
	t        testing.TB
	binary   string
	servers  []*exec.Cmd // nil = killed
	presents tls.Certificate
}

const buildTimeout = 5 * time.Minute

// Start builds the server and runs n of them until the test ends.
func Start(t testing.TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{t: t, Dir: t.TempDir(), servers: make([]*exec.Cmd, n)}
	c.build()
	c.certificates()
	ports := freePorts(t, 2*n)
	routes := make([]string, n)
	for i := range n {
		routes[i] = "nats-route://" + ports[n+i]
		c.URLs = append(c.URLs, "tls://"+ports[i])
	}
	for i := range n {
		c.configure(i, ports[i], ports[n+i], routes)
		c.Restart(i)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.Kill(i)
		}
	})
	return c
}

func (c *Cluster) build() {
	c.t.Helper()
	if c.binary = os.Getenv("LIGATE_TEST_NATS"); c.binary != "" {
		return
	}
	c.binary = filepath.Join(c.Dir, "nats-server")
	ctx, cancel := context.WithTimeout(c.t.Context(), buildTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", c.binary, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil { //nolint:gosec // our own folder
		c.t.Fatalf("build nats-server: %v\n%s", err, out)
	}
}

// certificates makes one for the servers and one for their clients; both are their own
// authority.
func (c *Cluster) certificates() {
	c.t.Helper()
	var all []byte
	for _, name := range []string{"server", "client"} {
		own, err := pki.LoadOrCreate(c.Dir, name, pki.Spec{CommonName: name, Names: []string{"127.0.0.1"}})
		if err != nil {
			c.t.Fatal(err)
		}
		c.presents = own
		text, err := os.ReadFile(filepath.Join(c.Dir, name+".crt"))
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, text...)
	}
	c.CA, c.Cert, c.Key = filepath.Join(c.Dir, "ca.pem"), filepath.Join(c.Dir, "client.crt"), filepath.Join(c.Dir, "client.key")
	c.write("ca.pem", all)
}

func (c *Cluster) write(name string, text []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.Dir, name), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Cluster) configure(i int, client, cluster string, routes []string) {
	c.t.Helper()
	text := fmt.Appendf(nil, `server_name: n%d
listen: %q
jetstream { store_dir: %q, max_mem: 64M, max_file: 4G }
tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }
`, i, client, filepath.Join(c.Dir, fmt.Sprintf("n%d", i)), filepath.Join(c.Dir, "server.crt"), filepath.Join(c.Dir, "server.key"), c.CA)
	if len(routes) > 1 {
		text = fmt.Appendf(text, "cluster { name: test, listen: %q, routes: [%s] }\n", cluster, strings.Join(routes, ", "))
	}
	c.write(conf(i), text)
}

func conf(i int) string { return fmt.Sprintf("n%d.conf", i) }

// Restart starts a server that does not run.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	cmd := exec.Command(c.binary, "-c", filepath.Join(c.Dir, conf(i)), "-l", filepath.Join(c.Dir, fmt.Sprintf("n%d.log", i))) //nolint:gosec,noctx // our own folder; ends with the test
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.servers[i] = cmd
}

// Kill ends a server as kill -9 does.
func (c *Cluster) Kill(i int) {
	if c.servers[i] == nil {
		return
	}
	_ = c.servers[i].Process.Kill()
	_ = c.servers[i].Wait()
	c.servers[i] = nil
}

// TLS is a client's configuration.
func (c *Cluster) TLS() *tls.Config {
	c.t.Helper()
	text, err := os.ReadFile(c.CA)
	if err != nil {
		c.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{c.presents}}
}

// Client is a connection of the test itself.
func (c *Cluster) Client() jetstream.JetStream {
	c.t.Helper()
	conn, err := nats.Connect(strings.Join(c.URLs, ","), nats.Secure(c.TLS()), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return js
}

// Leader is the server that leads a stream now.
func (c *Cluster) Leader(js jetstream.JetStream, stream string) int {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
		s, err := js.Stream(ctx, stream)
		cancel()
		if err != nil || s.CachedInfo().Cluster == nil {
			continue
		}
		for i := range c.servers {
			if s.CachedInfo().Cluster.Leader == fmt.Sprintf("n%d", i) {
				return i
			}
		}
	}
	c.t.Fatalf("stream %s has no leader", stream)
	return 0
}

// AwaitCurrent waits until every server's copy of a stream and its consumers is current:
// before that another server that goes away takes the majority with it.
func (c *Cluster) AwaitCurrent(js jetstream.JetStream, stream string) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if c.current(js, stream) {
			return
		}
	}
	c.t.Fatalf("the copies of stream %s are not current", stream)
}

func (c *Cluster) current(js jetstream.JetStream, stream string) bool {
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil || !c.complete(s.CachedInfo().Cluster) {
		return false
	}
	consumers := s.ListConsumers(ctx)
	for info := range consumers.Info() {
		if !c.complete(info.Cluster) {
			return false
		}
	}
	return consumers.Err() == nil
}

// complete reports whether a leader and current followers are on all servers.
func (c *Cluster) complete(info *jetstream.ClusterInfo) bool {
	if info == nil || info.Leader == "" || len(info.Replicas) != len(c.servers)-1 {
		return false
	}
	for _, peer := range info.Replicas {
		if !peer.Current || peer.Offline {
			return false
		}
	}
	return true
}

// Holds reports whether any file of the servers holds the octets.
func (c *Cluster) Holds(octets []byte) (found bool, looked int) {
	c.t.Helper()
	for i := range c.servers {
		err := filepath.WalkDir(filepath.Join(c.Dir, fmt.Sprintf("n%d", i)), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path) //nolint:gosec // our own folder
			looked += len(b)
			found = found || bytes.Contains(b, octets)
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			c.t.Fatal(err)
		}
	}
	return found, looked
}

// freePorts are host:port on loopback that nobody listened on just now.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	ports := make([]string, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closes at once
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().String()
	}
	return ports
}
