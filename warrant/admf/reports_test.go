package admf_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/warrant/admf"
)

// A gateway that reports the end of a Task is compared at once, and only a gateway
// of ours under its own name is heard.
func TestReports(t *testing.T) {
	t.Parallel()
	n, s := newNode(t, "gw-1"), newStore()
	task := iri(t, "+4930123456")
	s.want(task)
	a := run(t, admf.Config{Store: s, ProbeEvery: time.Hour, ReconcileEvery: time.Hour}, n)
	n.wait(patience, "filling", task)
	s.wait(t, "on gw-1 "+task.XID.String())
	handler, err := a.Reports("admf-1")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(handler)
	srv.TLS = pki.Server(n.admf)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	reporter := func(id string, own tls.Certificate) *x1.Reporter {
		transport := &http.Transport{TLSClientConfig: pki.Client(own, pki.Fingerprint(n.admf.Certificate[0]))}
		t.Cleanup(transport.CloseIdleConnections)
		r, err := x1.NewReporter(x1.ClientConfig{
			URL: srv.URL + x1.PathADMF, ADMFID: "admf-1", NEID: id, HTTP: &http.Client{Transport: transport},
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	var refusal *x1.Error
	issue := x1.ReportTaskIssue{XID: li.NewXID(), Report: x1.ImplicitDeactivation}
	if err := reporter("gw-1", pair(t, x1.NEBinding("gw-2"))).Report(t.Context(), issue); !errors.As(err, &refusal) || refusal.Code != x1.CodeCertificate {
		t.Errorf("another's certificate: got %v, want code 1030", err)
	}
	if err := reporter("gw-2", pair(t, x1.NEBinding("gw-2"))).Report(t.Context(), issue); !errors.As(err, &refusal) || refusal.Code != x1.CodeUnexpectedNE {
		t.Errorf("unknown gateway: got %v, want code 1060", err)
	}

	reports, err := tasking.NewReports(tasking.ReportsConfig{To: reporter("gw-1", n.own)})
	if err != nil {
		t.Fatal(err)
	}
	background(t, reports.Run)
	if err := n.index.Deactivate(task.XID); err != nil { // lost, and nobody would look for an hour
		t.Fatal(err)
	}
	reports.Ended(task.XID)
	n.wait(patience, "comparison after the report", task)
}
