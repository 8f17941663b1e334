package deliver_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/internal/pkitest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

var began = time.Now().UTC().Truncate(time.Microsecond)

// world is a mediation's outlet on a real bus, with what stands in the database kept
// in memory.
type world struct {
	*deliver.Outlet

	bus     *bus.Bus
	own     tls.Certificate // shown to LEMFs
	signer  *ecdsa.PrivateKey
	reg     *prometheus.Registry
	records *records
	drop    string              // folder of capture files
	agency  *age.X25519Identity // opens them
}

// records stands for the database: deliveries, notices, the outbox, alarms.
type records struct {
	mu         sync.Mutex
	deliveries []warrant.Delivery
	notices    []warrant.Notice
	outbox     []evidence.Waiting
	alarms     map[string]bool // opened once; false = closed again
}

func (r *records) ActiveDeliveries(context.Context) ([]warrant.Delivery, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]warrant.Delivery(nil), r.deliveries...), nil
}

func (r *records) Notices(_ context.Context, without []warrant.AgencyID) ([]warrant.Notice, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.notices), func(n warrant.Notice) bool { return slices.Contains(without, n.AgencyID) }), nil
}

func (r *records) DropNotices(_ context.Context, ids []int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notices = slices.DeleteFunc(r.notices, func(n warrant.Notice) bool { return slices.Contains(ids, n.ID) })
	return nil
}

func (r *records) Outbox(_ context.Context, without []evidence.Lane) ([]evidence.Waiting, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.outbox), func(w evidence.Waiting) bool {
		return slices.Contains(without, evidence.Lane{Agency: w.AgencyID, Kind: w.Kind})
	}), nil
}

func (r *records) Dispatched(_ context.Context, ids []int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := map[int64]bool{}
	for _, id := range ids {
		gone[id] = true
	}
	var left []evidence.Waiting
	for _, w := range r.outbox {
		if !gone[w.ID] {
			left = append(left, w)
		}
	}
	r.outbox = left
	return nil
}

func (r *records) OpenAlarm(_ context.Context, kind, object string) error {
	return r.setAlarm(kind+" "+object, true)
}

func (r *records) CloseAlarm(_ context.Context, kind, object string) error {
	return r.setAlarm(kind+" "+object, false)
}

func (r *records) setAlarm(name string, open bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alarms[name] = open
	return nil
}

// alarm returns whether an alarm is open, and whether it ever was.
func (r *records) alarm(name string) (open, ever bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	open, ever = r.alarms[name]
	return open, ever
}

func (r *records) entail(agency warrant.AgencyID, all []evidence.Entailed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range all {
		id := int64(1)
		if n := len(r.outbox); n > 0 {
			id = r.outbox[n-1].ID + 1
		}
		r.outbox = append(r.outbox, evidence.Waiting{ID: id, AgencyID: agency, Entailed: e})
	}
}

// run runs f until the returned function or the test's end.
func run(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// fast are times that let a test see what takes minutes.
func fast() deliver.Timing {
	return deliver.Timing{
		Idle: time.Second, NoAnswer: 2 * time.Second, Confirm: 20 * time.Millisecond, Redial: 50 * time.Millisecond, Down: 200 * time.Millisecond,
	}
}

// newWorld runs an outlet for deliveries that have no addresses yet.
func newWorld(t *testing.T, key []byte, deliveries ...warrant.Delivery) *world {
	t.Helper()
	w := &world{own: pkitest.Certificate(t, "handover"), reg: prometheus.NewRegistry(), records: &records{alarms: map[string]bool{}, deliveries: deliveries}}
	var err error
	if w.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if w.agency, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	w.drop = t.TempDir()
	log := slog.New(slog.DiscardHandler)
	if w.bus, err = bus.New(bus.Config{Dir: t.TempDir(), Key: bytes.Repeat([]byte{1}, 32), Log: log}); err != nil {
		t.Fatal(err)
	}
	run(t, w.bus.Run)
	w.Outlet, err = deliver.New(deliver.Config{
		Bus: w.bus, Records: w.records, Outbox: w.records, Alarms: w.records, Log: log, LIReg: w.reg, Signer: w.signer,
		TLS:      func(lemf string) *tls.Config { return pki.Client(w.own, lemf) },
		Operator: "OP", Element: "mdf", Key: func(warrant.AgencyID) ([]byte, error) { return key, nil },
		Timing: fast(), Refresh: 20 * time.Millisecond,
		Drop: deliver.Drop{
			Dir: w.drop, Key: bytes.Repeat([]byte{2}, 32), Every: 400 * time.Millisecond, Keep: time.Hour,
			Recipients: func(context.Context, warrant.AgencyID) ([]string, error) {
				return []string{w.agency.Recipient().String()}, nil
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, w.Run)
	<-w.Ready()
	return w
}

// lemf runs a reference LEMF for this operator.
func (w *world) lemf(t *testing.T, change func(*lemf.Config)) (l *lemf.LEMF, cert string, stop func()) {
	t.Helper()
	own := pkitest.Certificate(t, "lemf")
	cfg := lemf.Config{
		HI2: "127.0.0.1:0", HI3: "127.0.0.1:0", TLS: pki.Server(own, pkitest.Fingerprint(w.own)), Late: time.Nanosecond, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Signer: &w.signer.PublicKey,
	}
	if change != nil {
		change(&cfg)
	}
	l, err := lemf.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop = run(t, l.Run)
	<-l.Ready()
	return l, pkitest.Fingerprint(cfg.TLS.Certificates[0]), stop
}

// to makes a delivery count.
func (w *world) to(t *testing.T, d warrant.Delivery, hi2, hi3, cert string) {
	t.Helper()
	d.HI2, d.HI3, d.Cert = hi2, hi3, cert
	d = d.WithDefaults(warrant.Agency{Country: "DE"})
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	w.records.mu.Lock()
	defer w.records.mu.Unlock()
	for i, old := range w.records.deliveries {
		if old.AgencyID == d.AgencyID {
			d.Number = old.Number + 1
			w.records.deliveries[i] = d
			return
		}
	}
	d.Number = 1
	w.records.deliveries = append(w.records.deliveries, d)
}

// line waits until an agency's delivery counts.
func (w *world) line(t *testing.T, agency warrant.AgencyID, liid li.LIID, cin li.CIN, media bool) *deliver.Line {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		l, err := w.Line(t.Context(), warrant.TaskInfo{AgencyID: agency, Media: media}, &evidence.Progress{LIID: liid, CIN: cin, StartedAt: began})
		if l != nil && err == nil {
			return l
		}
		if time.Now().After(deadline) {
			t.Fatal("the delivery does not count")
		}
	}
}

func content(n int) []segment.Record {
	var all []segment.Record
	for i := range n {
		packet, format, err := x2x3.AppendDatagram(nil, netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:5000"),
			append([]byte{0x80, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, fmt.Sprintf("packet %d", i)...))
		if err != nil {
			panic(err)
		}
		all = append(all, segment.Record{CC: &segment.CCRecord{Time: time.Now(), Direction: x2x3.FromTarget, Format: format, Packet: packet}})
	}
	return all
}

func signalling(n int) []segment.Record {
	var all []segment.Record
	for i := range n {
		all = append(all, segment.Record{IRI: &segment.IRIRecord{
			Type: "continue", Time: time.Now(), Direction: "to_target", Src: netip.MustParseAddrPort("192.0.2.1:5060"), Dst: netip.MustParseAddrPort("[2001:db8::1]:5060"),
			SIP: fmt.Appendf(nil, "INFO sip:a@b SIP/2.0\r\nCSeq: %d INFO\r\n\r\n", i),
		}})
	}
	return all
}

// push gives a line records in parts, and the integrity check of each part.
func (w *world) push(t *testing.T, agency warrant.AgencyID, l *deliver.Line, kind segment.Kind, parts int, records []segment.Record) {
	t.Helper()
	first, octets := uint32(0), uint64(0)
	for part := range parts {
		some := records[part*len(records)/parts : (part+1)*len(records)/parts]
		receipts, err := l.Push(kind, first, octets, some)
		if err != nil {
			t.Fatal(err)
		}
		size := octetsOf(receipts)
		for _, r := range receipts {
			ended(t, r.Receipt)
		}
		check, checked, err := l.Check(kind, uint32(part)+1, first, octets, some, time.Now())
		if err != nil || checked != size {
			t.Fatalf("check of %d octets, want %d: %v", checked, size, err)
		}
		w.records.entail(agency, check)
		first, octets = first+uint32(len(some)), octets+size
	}
}

func octetsOf(all []deliver.Pushed) (n uint64) {
	for _, p := range all {
		n += p.Octets
	}
	return n
}

// ended waits for a receipt and returns how the push ended.
func ended(t *testing.T, r *deliver.Receipt) error {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if done, err := r.Done(); done {
			return err
		}
		if time.Now().After(deadline) {
			t.Fatal("a push does not end")
		}
	}
}

// eventually waits until something is right.
func eventually(t *testing.T, what string, right func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !right(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// whole waits until a LEMF has all of a session, checked and signed.
func whole(t *testing.T, l *lemf.LEMF, liid li.LIID, cin uint32, kind etsi.Kind, pdus int) lemf.Counts {
	t.Helper()
	k := lemf.Key{LIID: liid, CIN: cin, Kind: kind}
	var c lemf.Counts
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		st := l.State()
		if c = st.Sessions[k]; c.PDUs == uint64(pdus) && c.Checked == c.PDUs && c.Signed == c.Checks && c.Missing == 0 {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %d: %+v, want %d PDUs, checked and signed; faults %v", liid, cin, c, pdus, st.Faults)
		}
	}
}

// figure sums a metric over its labels.
func (w *world) figure(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	all, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			match := label == ""
			for _, l := range m.GetLabel() {
				match = match || l.GetValue() == label
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
