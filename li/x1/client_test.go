package x1_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// certificate makes a pair whose SAN URI binds it to an X1 identifier.
func certificate(t testing.TB, binding string) tls.Certificate {
	t.Helper()
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "x.crt"), filepath.Join(dir, "x.key")
	if err := pki.Create(crt, key, pki.Spec{CommonName: "x1 test", Names: []string{"127.0.0.1"}, URI: binding}); err != nil {
		t.Fatal(err)
	}
	pair, err := pki.Load(crt, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// serve starts a TLS server that shows a certificate with this binding and returns
// a client of it.
func serve(t *testing.T, binding string, h http.HandlerFunc) *x1.Client {
	t.Helper()
	own, peer := certificate(t, binding), certificate(t, x1.ADMFBinding("admf-1"))
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = pki.Server(own, pki.Fingerprint(peer.Certificate[0]))
	srv.StartTLS()
	t.Cleanup(srv.Close)
	transport := &http.Transport{TLSClientConfig: pki.Client(peer, pki.Fingerprint(own.Certificate[0]))}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := x1.NewClient(x1.ClientConfig{
		URL: srv.URL + x1.PathNE, ADMFID: "admf-1", NEID: "gw-1", HTTP: &http.Client{Transport: transport}, Timeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answering gives every request the same answer, after change has been at it.
func answering(t *testing.T, answer x1.Answer, change func(*x1.Response)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		reqs, err := x1.DecodeRequests(body)
		if err != nil || len(reqs) != 1 {
			t.Errorf("the client's request: %v", err)
			return
		}
		resp := x1.Response{Header: reqs[0].Header, Answer: answer}
		if change != nil {
			change(&resp)
		}
		doc, err := x1.EncodeResponses([]x1.Response{resp})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(doc)
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	task := li.ContentTask{IRITask: iriTask(t)}
	c := serve(t, x1.NEBinding("gw-1"), answering(t, x1.AllDetails{Tasks: []x1.TaskDetails{{Task: task}}}, func(r *x1.Response) { r.Time = r.Time.Add(-time.Hour) }))
	all, at, err := c.All(t.Context())
	if err != nil || len(all.Tasks) != 1 || !x1.Equal(all.Tasks[0].Task, task) {
		t.Errorf("tasks: got %d, %v", len(all.Tasks), err)
	}
	if ago := time.Since(at); ago < 59*time.Minute || ago > 61*time.Minute {
		t.Errorf("the peer's clock is said to be %v behind, want an hour", ago)
	}
	c = serve(t, x1.NEBinding("gw-1"), answering(t, x1.OK{Of: x1.KindActivateTask}, nil))
	if err := c.Activate(t.Context(), x1.ActivateTask{Task: task}); err != nil {
		t.Error(err)
	}
	c = serve(t, x1.NEBinding("gw-1"), answering(t, x1.TaskDetails{Task: task}, nil))
	if got, err := c.Task(t.Context(), task.XID); err != nil || !x1.Equal(got.Task, task) {
		t.Errorf("task: %v", err)
	}
	if _, err := c.Task(t.Context(), li.NewXID()); !errors.Is(err, x1.ErrAnswer) {
		t.Errorf("another task: got %v, want ErrAnswer", err)
	}
}

func TestClientRefusal(t *testing.T) {
	t.Parallel()
	c := serve(t, x1.NEBinding("gw-1"), answering(t, &x1.Error{Of: x1.KindDeactivateTask, Code: x1.CodeXIDUnknown}, nil))
	err := c.Deactivate(t.Context(), xid(t, xidText))
	var refusal *x1.Error
	if !errors.As(err, &refusal) || refusal.Code != x1.CodeXIDUnknown || refusal.Of != x1.KindDeactivateTask {
		t.Errorf("got %v, want the code 2020", err)
	}
}

func TestClientDistrusts(t *testing.T) {
	t.Parallel()
	ok := x1.OK{Of: x1.KindPing}
	raw := func(status int, doc string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, doc)
		}
	}
	for name, tt := range map[string]struct {
		binding string
		handler http.HandlerFunc
		want    error
	}{
		"certificate of another NE": {x1.NEBinding("gw-2"), answering(t, ok, nil), x1.ErrPeer},
		"certificate of an ADMF":    {x1.ADMFBinding("gw-1"), answering(t, ok, nil), x1.ErrPeer},
		"no binding":                {"", answering(t, ok, nil), x1.ErrPeer},
		"another NE in the message": {x1.NEBinding("gw-1"), answering(t, ok, func(r *x1.Response) { r.NE = "gw-2" }), x1.ErrPeer},
		"another ADMF":              {x1.NEBinding("gw-1"), answering(t, ok, func(r *x1.Response) { r.ADMF = "admf-2" }), x1.ErrPeer},
		"another transaction":       {x1.NEBinding("gw-1"), answering(t, ok, func(r *x1.Response) { r.Transaction[0]++ }), x1.ErrAnswer},
		"answer to another kind":    {x1.NEBinding("gw-1"), answering(t, x1.OK{Of: x1.KindActivateTask}, nil), x1.ErrAnswer},
		"status 500":                {x1.NEBinding("gw-1"), raw(http.StatusInternalServerError, "x"), x1.ErrHTTP},
		"no xml":                    {x1.NEBinding("gw-1"), raw(http.StatusOK, "x"), x1.ErrSyntax},
		"top-level error":           {x1.NEBinding("gw-1"), raw(http.StatusOK, string(documents(t)["top_level_error"])), x1.ErrTopLevel},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := serve(t, tt.binding, tt.handler).Ping(t.Context()); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// A redirect would hand the target's number to whoever is named in it.
func TestClientFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	c := serve(t, x1.NEBinding("gw-1"), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != x1.PathNE {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	if err := c.Activate(t.Context(), x1.ActivateTask{Task: iriTask(t)}); !errors.Is(err, x1.ErrHTTP) {
		t.Errorf("got %v, want ErrHTTP", err)
	}
}

func TestClientConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]x1.ClientConfig{
		"plain http": {URL: "http://127.0.0.1/X1/NE", ADMFID: "a", NEID: "b", HTTP: http.DefaultClient},
		"no host":    {URL: "https:///X1/NE", ADMFID: "a", NEID: "b", HTTP: http.DefaultClient},
		"no admf":    {URL: "https://h/X1/NE", NEID: "b", HTTP: http.DefaultClient},
		"no ne":      {URL: "https://h/X1/NE", ADMFID: "a", HTTP: http.DefaultClient},
		"no http":    {URL: "https://h/X1/NE", ADMFID: "a", NEID: "b"},
	} {
		if _, err := x1.NewClient(cfg); !errors.Is(err, x1.ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}
