package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/internal/natstest"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

const (
	takeoverCalls   = 12
	takeoverSeconds = 20
	takeoverLimit   = 10 * time.Second
	electionLimit   = 30 * time.Second
	clusterServers  = 3
)

// trouble is what happens in the middle of the calls.
type trouble struct {
	limit time.Duration // until all calls go on
	begin func(t *testing.T, a *apart) (end func())
}

// apart is a deployment of several processes: a gateway, an administration and
// mediations, with one database, one evidence store and a NATS cluster of three.
type apart struct {
	*story
	nats    *natstest.Cluster
	pool    *pgxpool.Pool
	metrics map[string]string // by process
	kids    map[string]child
}

func newApart(t *testing.T) *apart {
	t.Helper()
	a := &apart{story: newStory(t), nats: natstest.Start(t, clusterServers), metrics: map[string]string{}, kids: map[string]child{}}
	url := pgtest.Get(t).URL(t)
	var err error
	if a.pool, err = pgxpool.New(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.pool.Close)
	yaml, err := os.ReadFile(a.path("operator", "ligate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		`x1: {listen: "`+a.world.ports.x1+`"}`, fmt.Sprintf(`x1: {listen: %q, certificate: %s}`, a.world.ports.x1, a.certificates(t, "operator/ligate.yaml")["x1-admf"]),
		"segment_every: 1s}", fmt.Sprintf("segment_every: 1s, store: %q}", a.path("operator", "evidence")),
	).Replace(string(yaml)) + fmt.Sprintf("database: {url: %q}\nbus: {max_bytes: 268435456, spool_bytes: 1073741824, cluster: {urls: %s, ca: %q, certificate: %q, key: %q}}\n",
		url, strings.ReplaceAll(fmt.Sprintf("%q", a.nats.URLs), " ", ", "), a.nats.CA, a.nats.Cert, a.nats.Key)
	write(t, a.path("operator", "ligate.yaml"), []byte(text))
	ceremony := []string{"setup", "--config", a.path("operator", "ligate.yaml")}
	for name, role := range staff() {
		ceremony = append(ceremony, "--person", role+":"+a.path("people", name+".crt"))
	}
	if _, err := a.cli(t.Context(), ceremony...); err != nil {
		t.Fatal(err)
	}
	ports := map[string]*demoPorts{}
	for _, name := range []string{"first", "second", "gateway"} {
		ports[name] = a.prepareProcess(t, name, text)
	}
	a.metrics["operator"] = a.world.ports.metrics        // the administration keeps the demo's files
	a.world.ports.liMetrics = ports["gateway"].liMetrics // the LI figures that tests read are the tap's
	return a
}

// prepareProcess gives a process a folder, ports and the deployment's secrets.
func (a *apart) prepareProcess(t *testing.T, name, text string) *demoPorts {
	t.Helper()
	ports, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(a.path(name, "secrets"), os.DirFS(a.path("operator", "secrets"))); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(a.path(name, "logs"), 0o711); err != nil {
		t.Fatal(err)
	}
	store := a.path("operator", "evidence")
	text = strings.NewReplacer(store, store, a.path("operator"), a.path(name), a.world.ports.metrics, ports.metrics, a.world.ports.liMetrics, ports.liMetrics).Replace(text)
	write(t, a.path(name, "ligate.yaml"), []byte(text))
	a.metrics[name] = ports.metrics
	return ports
}

func (a *apart) spawnProcess(t *testing.T, name, role string) {
	t.Helper()
	a.kids[name] = a.spawnRole(t, filepath.Join(name, "ligate.yaml"), role, a.metrics[name])
}

// parts is how many partitions a mediation works on.
func (a *apart) parts(t *testing.T, name string) int {
	t.Helper()
	for line := range strings.Lines(fetch(t, http.DefaultClient, "http://"+a.metrics[name]+"/metrics")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), `ligate_share_parts{source="cluster"} `); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no figure of shares")
	return 0
}

func (a *apart) awaitParts(t *testing.T, want map[string]int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		got, even := map[string]int{}, true
		for name, n := range want {
			got[name] = a.parts(t, name)
			even = even && got[name] == n
		}
		if even {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("partitions are at %v, want %v", got, want)
		}
	}
}

// awaitSealed waits until every call has sealed records of after the moment, and
// returns how long after it that was.
func (a *apart) awaitSealed(t *testing.T, moment time.Time) time.Duration {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var sealed int
		if err := a.pool.QueryRow(t.Context(), "select count(*) from session where last_at > $1", moment).Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		if sealed == takeoverCalls {
			return time.Since(moment)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d calls go on", sealed, takeoverCalls)
		}
	}
}

// A mediation is killed, or hangs, or a server of the cluster dies, in the middle of
// tapped calls: another mediation goes on within ten seconds, what was copied is in
// the evidence store once, in order and without a gap, and shares are even again when
// the mediation is back.
func TestMediationsShareTheWork(t *testing.T) {
	for name, what := range map[string]trouble{
		"killed": {takeoverLimit, func(t *testing.T, a *apart) func() {
			first := a.kids["first"]
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = first.Wait()
			return func() { a.spawnProcess(t, "first", "mediation") }
		}},
		"hangs": {takeoverLimit, func(t *testing.T, a *apart) func() {
			first := a.kids["first"].Process
			if err := first.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = first.Signal(syscall.SIGCONT) }) // else it never ends
			return func() {
				if err := first.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
		}},
		"server dies": {electionLimit, func(_ *testing.T, a *apart) func() {
			leader := a.nats.Leader(a.nats.Client(), "LI")
			a.nats.Kill(leader)
			return func() { a.nats.Restart(leader) }
		}},
	} {
		t.Run(name, func(t *testing.T) { takeover(t, what) })
	}
}

func takeover(t *testing.T, what trouble) {
	t.Helper()
	a := newApart(t)
	a.spawnProcess(t, "operator", "admin")
	a.spawnProcess(t, "gateway", "gateway")
	a.spawnProcess(t, "first", "mediation")
	a.spawnProcess(t, "second", "mediation")
	for _, file := range []string{"li-metrics.crt", "li-metrics.key"} { // whom the figures are read from
		b, err := os.ReadFile(a.path("gateway", "secrets", file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, a.path("operator", "secrets", file), b)
	}
	if err := a.world.startPhones(t.Context(), logging.New(os.Stderr, slog.LevelError+1)); err != nil {
		t.Fatal(err)
	}
	if err := a.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := a.lemfFor(t)
	l, _ := runLEMF(t, cfg)
	hi2, hi3 := l.Addrs()
	a.confirmDelivery(t, a.agencyID, map[string]any{
		"hi2": hi2.String(), "hi3": hi3.String(), "certificate": pki.Fingerprint(cfg.TLS.Certificates[0].Certificate[0]),
		"buffer_iri": 64 << 20, "buffer_cc": 256 << 20, // less than the test's servers may store
	})
	a.order(t, "SHARE", aliceNumber)
	a.awaitParts(t, map[string]int{"first": 8, "second": 8})

	speech := make(demo.Speech, 0, takeoverSeconds*8000)
	for len(speech) < takeoverSeconds*8000 {
		speech = append(speech, demo.SubscriberSpeech()...)
	}
	speech = speech.Seconds(takeoverSeconds)
	calls := make(chan error, takeoverCalls)
	for range takeoverCalls {
		go func() {
			_, err := a.world.alice.Call(t.Context(), farNumber, speech, 0)
			calls <- err
		}()
	}
	a.awaitSealed(t, time.Now()) // all calls run and are mediated
	began := time.Now()
	end := what.begin(t, a)
	took := a.awaitSealed(t, began)
	t.Logf("all calls went on %v after", took.Round(time.Millisecond))
	if took > what.limit {
		t.Errorf("took longer than %v", what.limit)
	}
	end()
	a.awaitParts(t, map[string]int{"first": 8, "second": 8})
	for range takeoverCalls {
		if err := <-calls; err != nil {
			t.Fatal(err)
		}
	}
	a.awaitEnded(t, "SHARE", takeoverCalls)
	a.checkAll(t, l, "SHARE", len(speech)/demo.FrameSamples)
}

// checkAll holds what the agency gets against what was sent and what the tap says that
// it published.
func (a *apart) checkAll(t *testing.T, l *lemf.LEMF, liid string, packets int) {
	t.Helper()
	sessions := a.pull(t, liid)
	if len(sessions) != takeoverCalls {
		t.Fatalf("%d sessions, want %d", len(sessions), takeoverCalls)
	}
	await(t, l, "all sessions end", func(s lemf.State) bool {
		for _, got := range s.Sessions {
			if !got.Ended {
				return false
			}
		}
		return len(s.Sessions) == 2*takeoverCalls
	})
	atLEMF := l.State()
	if atLEMF.Total > 0 {
		t.Errorf("the LEMF found %d faults: %v", atLEMF.Total, atLEMF.Faults)
	}
	iri, cc := 0, 0
	for cin, records := range sessions {
		i, c := count(records)
		iri, cc = iri+i, cc+c
		number, err := strconv.ParseUint(cin, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		for kind, want := range map[etsi.Kind]int{etsi.KindIRI: i, etsi.KindCC: c} {
			got := atLEMF.Sessions[lemf.Key{LIID: li.LIID(liid), CIN: uint32(number), Kind: kind}]
			if got.PDUs != uint64(want) || got.Missing != 0 {
				t.Errorf("session %s: the LEMF has %+v, the store %d", cin, got, want)
			}
		}
		if from := checkOrder(t, cin, records); from != packets {
			t.Errorf("session %s: %d packets of the target, want %d", cin, from, packets)
		}
	}
	if want := int(a.metricKind(t, "ligate_tee_published_pdus_total", "x2")); iri != want {
		t.Errorf("%d SIP messages at the agency, the tap published %d", iri, want)
	}
	if want := int(a.metricKind(t, "ligate_tee_published_pdus_total", "x3")); cc != want {
		t.Errorf("%d media packets at the agency, the tap published %d", cc, want)
	}
}

// checkOrder sees to it that a session's packets follow each other in both directions
// and that nothing is said to be missing. It returns how many came from the target.
func checkOrder(t *testing.T, cin string, records []segment.Record) (from int) {
	t.Helper()
	last := map[x2x3.Direction]uint16{}
	for _, r := range records {
		if r.Gap != nil {
			t.Errorf("session %s: a gap: %+v", cin, *r.Gap)
		}
		if r.CC == nil {
			continue
		}
		p := parseRTP(t, r.CC)
		if before, known := last[r.CC.Direction]; known && p.SequenceNumber != before+1 {
			t.Errorf("session %s: RTP %d follows %d", cin, p.SequenceNumber, before)
		}
		last[r.CC.Direction] = p.SequenceNumber
		if r.CC.Direction == x2x3.FromTarget {
			from++
		}
	}
	return from
}
