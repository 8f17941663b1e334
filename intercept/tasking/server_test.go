package tasking_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// gateway is an X1 server over TLS and what its peers need.
type gateway struct {
	index  *tasking.Index
	server *tasking.Server
	reg    *prometheus.Registry
	url    string
	print  string // fingerprint of its certificate
}

func newGateway(t *testing.T) gateway {
	t.Helper()
	return newGatewayWith(t, tasking.ServerConfig{})
}

// newGatewayWith fills in what every gateway here has.
func newGatewayWith(t *testing.T, cfg tasking.ServerConfig) gateway {
	t.Helper()
	g := gateway{index: newIndex(t, tasking.Config{}), reg: prometheus.NewRegistry()}
	cfg.NEID, cfg.ADMFID, cfg.LIReg = "gw-1", "admf-1", g.reg
	if cfg.Tasks == nil {
		cfg.Tasks = g.index
	}
	server, err := tasking.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	g.server = server
	own := pair(t, x1.NEBinding("gw-1"))
	srv := httptest.NewUnstartedServer(server)
	srv.TLS = pki.Server(own)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	g.url, g.print = srv.URL, pki.Fingerprint(own.Certificate[0])
	return g
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

// http returns a client that shows a certificate with this binding.
func (g gateway) http(t *testing.T, binding string) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: pki.Client(pair(t, binding), g.print)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// client claims the identifiers and shows a certificate with this binding.
func (g gateway) client(t *testing.T, admf, ne, binding string) *x1.Client {
	t.Helper()
	c, err := x1.NewClient(x1.ClientConfig{URL: g.url + x1.PathNE, ADMFID: admf, NEID: ne, HTTP: g.http(t, binding)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantCode(t *testing.T, what string, err error, code int) {
	t.Helper()
	var refusal *x1.Error
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Errorf("%s: got %v, want code %d", what, err, code)
	}
}

func TestServerTaskLife(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	c := g.client(t, "admf-1", "gw-1", x1.ADMFBinding("admf-1"))
	task := li.ContentTask{IRITask: iri(t, time.Now().Add(time.Hour), "+4930123456", "sip:a@example.com")}
	second := iri(t, time.Now().Add(time.Hour), "+4930123457")
	for _, task := range []li.Task{task, second} {
		if err := c.Activate(t.Context(), x1.ActivateTask{Task: task}); err != nil {
			t.Fatal(err)
		}
	}
	taps := g.index.Match(target(t, "030 123456"))
	if len(taps) != 1 || !taps[0].Live() || taps[0].Media() == nil {
		t.Fatalf("got %d taps, want a live one with media", len(taps))
	}
	if iriTaps := g.index.Match(target(t, "030 123457")); len(iriTaps) != 1 || iriTaps[0].Media() != nil {
		t.Error("a task of signalling only must have a tap without media")
	}
	wantCode(t, "same XID again", c.Activate(t.Context(), x1.ActivateTask{Task: task}), x1.CodeXIDExists)
	all, _, err := c.All(t.Context())
	if err != nil || len(all.Tasks) != 2 {
		t.Fatalf("got %d tasks: %v", len(all.Tasks), err)
	}
	if got, err := c.Task(t.Context(), task.XID); err != nil || !x1.Equal(got.Task, task) {
		t.Errorf("details differ: %v", err)
	}
	if err := c.Deactivate(t.Context(), task.XID); err != nil {
		t.Fatal(err)
	}
	if taps[0].Live() {
		t.Error("the tap outlived its deactivation")
	}
	wantCode(t, "deactivate again", c.Deactivate(t.Context(), task.XID), x1.CodeXIDUnknown)
	_, err = c.Task(t.Context(), task.XID)
	wantCode(t, "details of none", err, x1.CodeXIDUnknown)
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	wantCode(t, "past its end", c.Activate(t.Context(), x1.ActivateTask{Task: iri(t, time.Now().Add(-time.Second), "+4930123456")}), x1.CodeActivateFailed)
	if n := testutil.CollectAndCount(g.reg, "ligate_tasking_x1_messages_total"); n == 0 {
		t.Error("the LI figures count nothing")
	}
}

// Each message is held against the certificate of its connection.
func TestServerIdentity(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	task := iri(t, time.Now().Add(time.Hour), "+4930123456")
	for name, tt := range map[string]struct {
		admf, ne, binding string
		code              int
	}{
		"certificate of another ADMF": {"admf-1", "gw-1", x1.ADMFBinding("admf-2"), x1.CodeCertificate},
		"certificate of an NE":        {"admf-1", "gw-1", x1.NEBinding("admf-1"), x1.CodeCertificate},
		"certificate without binding": {"admf-1", "gw-1", "", x1.CodeCertificate},
		"another ADMF of its own":     {"admf-2", "gw-1", x1.ADMFBinding("admf-2"), x1.CodeUnexpectedADMF},
		"meant for another gateway":   {"admf-1", "gw-2", x1.ADMFBinding("admf-1"), x1.CodeUnexpectedNE},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := x1.EncodeRequests([]x1.Request{{
				Header: x1.Header{ADMF: tt.admf, NE: tt.ne, Time: time.Now(), Transaction: x1.NewTransactionID()},
				Body:   x1.ActivateTask{Task: task},
			}})
			if err != nil {
				t.Fatal(err)
			}
			resp := post(t, g.http(t, tt.binding), g.url+x1.PathNE, "application/xml", string(doc))
			answers, err := x1.DecodeResponses(resp)
			if err != nil || len(answers) != 1 {
				t.Fatalf("got %d answers: %v", len(answers), err)
			}
			if got, ok := answers[0].Answer.(*x1.Error); !ok || got.Code != tt.code || got.Of != x1.KindActivateTask {
				t.Errorf("got %v, want code %d", answers[0].Answer, tt.code)
			}
		})
	}
	t.Cleanup(func() {
		if len(g.index.Tasks()) != 0 {
			t.Error("a stranger's task was activated")
		}
	})
}

func post(t *testing.T, c *http.Client, url, media, body string) []byte {
	t.Helper()
	status, doc := send(t, c, http.MethodPost, url, media, body)
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	return doc
}

func send(t *testing.T, c *http.Client, method, url, media, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", media)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	doc, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, doc
}

// Several messages in one container are answered one by one, in order.
func TestServerAnswersInOrder(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	task := iri(t, time.Now().Add(time.Hour), "+4930123456")
	var reqs []x1.Request
	for _, body := range []x1.Body{
		x1.ActivateTask{Task: task},
		x1.ActivateTask{Task: task},
		x1.Keepalive{},
		x1.GetAllDetails{},
		x1.DeactivateTask{XID: task.XID},
		x1.ReportTaskIssue{XID: task.XID, Report: x1.Warning},
	} {
		reqs = append(reqs, x1.Request{
			Header: x1.Header{ADMF: "admf-1", NE: "gw-1", Time: time.Now(), Transaction: x1.NewTransactionID()}, Body: body,
		})
	}
	doc, err := x1.EncodeRequests(reqs)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := x1.DecodeResponses(post(t, g.http(t, x1.ADMFBinding("admf-1")), g.url+x1.PathNE, "text/xml; charset=utf-8", string(doc)))
	if err != nil || len(answers) != len(reqs) {
		t.Fatalf("got %d answers: %v", len(answers), err)
	}
	for i, want := range []int{0, x1.CodeXIDExists, x1.CodeNoKeepalive, 0, 0, x1.CodeUnsupported} {
		got := 0
		if refusal, ok := answers[i].Answer.(*x1.Error); ok {
			got = refusal.Code
		}
		if got != want || answers[i].Transaction != reqs[i].Transaction {
			t.Errorf("answer %d: got code %d, want %d, in the request's transaction", i, got, want)
		}
	}
}

func TestServerHTTP(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	c := g.http(t, x1.ADMFBinding("admf-1"))
	for name, tt := range map[string]struct {
		method, path, media, body string
		want                      int
	}{
		"get":          {http.MethodGet, x1.PathNE, "application/xml", "", http.StatusMethodNotAllowed},
		"another path": {http.MethodPost, x1.PathADMF, "application/xml", "<a/>", http.StatusNotFound},
		"json":         {http.MethodPost, x1.PathNE, "application/json", "{}", http.StatusUnsupportedMediaType},
		"too large":    {http.MethodPost, x1.PathNE, "application/xml", strings.Repeat(" ", x1.MaxRequestBytes+1), http.StatusRequestEntityTooLarge},
		"not x1":       {http.MethodPost, x1.PathNE, "application/xml", "<a/>", http.StatusOK},
		"doctype":      {http.MethodPost, x1.PathNE, "application/xml", `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>`, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, doc := send(t, c, tt.method, g.url+tt.path, tt.media, tt.body)
			if status != tt.want {
				t.Fatalf("status %d, want %d", status, tt.want)
			}
			if _, err := x1.DecodeResponses(doc); status == http.StatusOK && !errors.Is(err, x1.ErrTopLevel) {
				t.Errorf("got %v, want a top-level error", err)
			}
		})
	}
}

func TestServerConfig(t *testing.T) {
	t.Parallel()
	index := newIndex(t, tasking.Config{})
	for name, cfg := range map[string]tasking.ServerConfig{
		"no NEID": {ADMFID: "a", Tasks: index}, "no ADMFID": {NEID: "n", Tasks: index}, "no tasks": {NEID: "n", ADMFID: "a"},
		"keepalive without reports": {NEID: "n", ADMFID: "a", Tasks: index, Keepalive: time.Second},
	} {
		if _, err := tasking.NewServer(cfg); !errors.Is(err, tasking.ErrServerConfig) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
