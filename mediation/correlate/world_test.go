package correlate_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/correlate"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

var server *pgtest.Server

func TestMain(m *testing.M) {
	if os.Getenv(crashDir) != "" {
		mediateForEver()
	}
	pgtest.Main(m, &server)
}

// world is a bus, a database, a blob store and an agency's key.
type world struct {
	t      *testing.T
	pool   *pgxpool.Pool
	log    *audit.Log
	store  *evidence.Store
	bus    *bus.Bus
	key    *age.X25519Identity
	tasks  *tasks
	alarms *alarms
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, pool: server.Pool(t), tasks: &tasks{known: map[li.XID]warrant.TaskInfo{}}, alarms: &alarms{open: map[string]bool{}}}
	var err error
	if w.key, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	w.log, w.store = newStore(t, w.pool, t.TempDir())
	if w.bus, err = bus.New(bus.Config{Dir: t.TempDir(), Key: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	start(t, w.bus.Run)
	<-w.bus.Ready()
	return w
}

func newStore(t testing.TB, pool *pgxpool.Pool, dir string) (*audit.Log, *evidence.Store) {
	t.Helper()
	secret, _, err := audit.NewKey("test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(audit.Config{Origin: "test", Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	folder, err := evidence.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	store, err := evidence.New(evidence.Config{Pool: pool, Audit: log, Bucket: folder.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	return log, store
}

// start runs f until the returned function or the test's end.
func start(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// quick is a configuration that does not make tests wait.
func (w *world) quick() correlate.Config {
	return correlate.Config{
		Bus: w.bus, Tasks: w.tasks, Store: w.store, Alarms: w.alarms, Log: slog.New(slog.DiscardHandler),
		IRIEvery: 20 * time.Millisecond, CCEvery: 50 * time.Millisecond, EndGrace: 300 * time.Millisecond,
	}
}

func (w *world) mediate(cfg correlate.Config) (stop func()) {
	w.t.Helper()
	c, err := correlate.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return start(w.t, c.Run)
}

// tasks stands for the warrants.
type tasks struct {
	mu    sync.Mutex // guards known and err
	known map[li.XID]warrant.TaskInfo
	err   error
}

func (s *tasks) TaskInfo(_ context.Context, xid li.XID) (warrant.TaskInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return warrant.TaskInfo{}, s.err
	}
	info, ok := s.known[xid]
	if !ok {
		return warrant.TaskInfo{}, warrant.ErrNotFound
	}
	return info, nil
}

func (s *tasks) set(info warrant.TaskInfo, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[info.XID], s.err = info, err
}

// task makes a running Task whose warrant began a minute ago.
func (w *world) task(liid li.LIID, media bool) warrant.TaskInfo {
	info := warrant.TaskInfo{
		XID: li.NewXID(), LIID: liid, AgencyID: "agency-1", Recipients: []string{w.key.Recipient().String()}, Media: media,
		From: time.Now().Add(-time.Minute), Until: time.Now().Add(time.Hour),
	}
	w.tasks.set(info, nil)
	return info
}

type alarms struct {
	mu   sync.Mutex // guards open
	open map[string]bool
}

func (a *alarms) OpenAlarm(_ context.Context, kind, _ string) error { return a.set(kind, true) }

func (a *alarms) CloseAlarm(_ context.Context, kind, _ string) error { return a.set(kind, false) }

func (a *alarms) set(kind string, open bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[kind] = open
	return nil
}

func (a *alarms) has(kind string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open[kind]
}

// line makes a gateway's PDUs of one call.
type line struct {
	xid         li.XID
	correlation uint64
	x2, x3      uint32
	at          time.Time
}

func newLine(info warrant.TaskInfo, correlation uint64) *line {
	return &line{xid: info.XID, correlation: correlation, at: time.Now().UTC()}
}

// beside makes the PDUs of a call that is in the same partition as other.
func beside(other *line, info warrant.TaskInfo, correlation uint64) *line {
	for ; bus.Partition(info.XID, correlation) != bus.Partition(other.xid, other.correlation); correlation++ {
	}
	return newLine(info, correlation)
}

func (l *line) tick() time.Time {
	l.at = l.at.Add(time.Millisecond)
	return l.at
}

func (l *line) sip(stage sipevent.Stage, method string, status int) []byte {
	p := x2x3.PDU{
		Type: x2x3.X2, Format: x2x3.FormatSIP, Direction: x2x3.FromTarget, XID: l.xid, Correlation: l.correlation, Sequence: l.x2, HasSequence: true,
		Time: l.tick(), NFID: "gw-1", Src: netip.MustParseAddrPort("192.0.2.1:5060"), Dst: netip.MustParseAddrPort("192.0.2.2:5060"),
		Event: sipevent.AppendEvent(nil, sipevent.Event{Stage: stage, Method: method, Status: status}), Payload: binary.BigEndian.AppendUint32([]byte(method), l.x2),
	}
	l.x2++
	b, err := x2x3.AppendPDU(nil, &p)
	if err != nil {
		panic(err)
	}
	return b
}

// media makes n packets; each holds its number at the tap.
func (l *line) media(n int) []byte {
	var b []byte
	var err error
	for range n {
		p := x2x3.PDU{
			Type: x2x3.X3, Format: x2x3.FormatIPv4, Direction: x2x3.ToTarget, XID: l.xid, Correlation: l.correlation, Sequence: l.x3, HasSequence: true,
			Time: l.tick(), NFID: "gw-1", Payload: binary.BigEndian.AppendUint32(make([]byte, 160), l.x3),
		}
		l.x3++
		if b, err = x2x3.AppendPDU(b, &p); err != nil {
			panic(err)
		}
	}
	return b
}

func (w *world) publish(kind x2x3.Type, pdus []byte) {
	w.t.Helper()
	partition := 0
	if p, _, err := x2x3.DecodePDU(pdus); err == nil {
		partition = bus.Partition(p.XID, p.Correlation)
	}
	if err := w.bus.Publish(w.t.Context(), kind, partition, pdus); err != nil {
		w.t.Fatal(err)
	}
}

// call publishes a whole call with n × 10 packets.
func (w *world) call(l *line, n int) {
	w.t.Helper()
	w.publish(x2x3.X2, l.sip(sipevent.Begin, "INVITE", 0))
	w.publish(x2x3.X2, l.sip(sipevent.Continue, "INVITE", 200))
	for range n {
		w.publish(x2x3.X3, l.media(10))
	}
	w.publish(x2x3.X2, l.sip(sipevent.Continue, "BYE", 0))
	w.publish(x2x3.X2, l.sip(sipevent.End, "BYE", 200))
}

// until waits for what other goroutines and processes bring about.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within 30 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// drained waits until the bus may forget everything.
func (w *world) drained() {
	w.t.Helper()
	w.until("drain the bus", func() bool {
		n, _, err := w.bus.Backlog(w.t.Context())
		return err == nil && n == 0
	})
}

func (w *world) closed(liid li.LIID, cin li.CIN) segment.SessionDoc {
	w.t.Helper()
	var doc segment.SessionDoc
	w.until("close the session", func() bool {
		var err error
		doc, err = w.store.SessionByCIN(w.t.Context(), liid, cin)
		return err == nil && doc.EndedAt != nil
	})
	return doc
}

// content is all that the agency gets of a session.
type content struct {
	doc  segment.SessionDoc
	iri  []*segment.IRIRecord
	cc   []*segment.CCRecord
	gaps []*segment.Gap
}

// open reads a session as the agency does: it checks the chain, decrypts, and
// checks that numbers are consecutive from 0.
func (w *world) open(liid li.LIID, cin li.CIN) content {
	w.t.Helper()
	doc, err := w.store.SessionByCIN(w.t.Context(), liid, cin)
	if err != nil {
		w.t.Fatal(err)
	}
	c := content{doc: doc}
	var docs []segment.SegmentDoc
	for _, kind := range []segment.Kind{segment.KindIRI, segment.KindCC} {
		some, next, err := w.store.Segments(w.t.Context(), liid, cin, kind, evidence.Page{Limit: 500})
		if err != nil || next != "" {
			w.t.Fatal(next, err)
		}
		docs = append(docs, some...)
	}
	slices.SortFunc(docs, func(a, b segment.SegmentDoc) int { return int(a.Number) - int(b.Number) })
	head := segment.ChainStart(liid, cin)
	for i, d := range docs {
		_, r, err := w.store.OpenSegment(w.t.Context(), liid, cin, d.Kind, d.Number)
		if err != nil {
			w.t.Fatal(err)
		}
		sealed, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			w.t.Fatal(err)
		}
		plain, err := segment.Open([]age.Identity{w.key}, sealed)
		if err != nil {
			w.t.Fatal(err)
		}
		head = segment.ChainNext(head, d.Number, sha256.Sum256(sealed), sha256.Sum256(plain))
		h, records, err := segment.Decode(plain)
		if err != nil || h.LIID != liid || h.CIN != cin || int(h.Segment) != i+1 || h.Kind != d.Kind {
			w.t.Fatalf("segment %d: %+v, %v", i+1, h, err)
		}
		w.add(&c, records)
	}
	if doc.ChainHead != hex.EncodeToString(head[:]) || int(doc.Segments) != len(docs) {
		w.t.Errorf("chain of %d segments is %x, the session says %d, %s", len(docs), head, doc.Segments, doc.ChainHead)
	}
	if doc.IRIRecords != int64(len(c.iri)) || doc.CCRecords != int64(len(c.cc)) {
		w.t.Errorf("%d and %d records, the session says %d and %d", len(c.iri), len(c.cc), doc.IRIRecords, doc.CCRecords)
	}
	return c
}

func (w *world) add(c *content, records []segment.Record) {
	w.t.Helper()
	for _, r := range records {
		switch {
		case r.IRI != nil:
			if r.IRI.Seq != uint32(len(c.iri)) {
				w.t.Errorf("IRI %d has number %d", len(c.iri), r.IRI.Seq)
			}
			c.iri = append(c.iri, r.IRI)
		case r.CC != nil:
			if r.CC.Seq != uint32(len(c.cc)) {
				w.t.Errorf("CC %d has number %d", len(c.cc), r.CC.Seq)
			}
			c.cc = append(c.cc, r.CC)
		default:
			c.gaps = append(c.gaps, r.Gap)
		}
	}
}

// taps returns the numbers that the tap gave to the packets, in the order of the
// records.
func (c content) taps() []uint32 {
	var all []uint32
	for _, r := range c.cc {
		all = append(all, binary.BigEndian.Uint32(r.Packet[160:]))
	}
	return all
}

func (c content) types() []string {
	var all []string
	for _, r := range c.iri {
		all = append(all, r.Type)
	}
	return all
}

// consecutive are 0 to n-1.
func consecutive(n int) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = uint32(i)
	}
	return all
}
