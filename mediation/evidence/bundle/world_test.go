package bundle_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/pion/rtp"
	"gocloud.dev/blob/memblob"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/bundle"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

const version = "1.2.3"

// world is a call that was tapped, sealed, closed and pulled.
type world struct {
	t        *testing.T
	source   string
	key      *age.X25519Identity
	cert     tls.Certificate
	logKey   string
	store    *evidence.Store
	now      time.Time
	progress *evidence.Progress
	doc      segment.Pulled
}

func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	own, err := pki.LoadOrCreate(t.TempDir(), name, pki.Spec{CommonName: name})
	if err != nil {
		t.Fatal(err)
	}
	return own
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, source: t.TempDir(), cert: certificate(t, "operator"), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	secret, verifier, err := audit.NewKey("op-1/ligate")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(audit.Config{Origin: "op-1/ligate", Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	if w.key, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	w.logKey = verifier
	w.store, err = evidence.New(evidence.Config{
		Pool: pgtest.AsApp(t, server.Pool(t)), Audit: log, Bucket: memblob.OpenBucket(nil), Signer: &w.cert,
		About: attest.Operator{ID: "op-1", Element: "mdf", Log: verifier, Version: version},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.call()
	return w
}

// call makes the session, with a message, ten packets each way, a loss and a gap.
func (w *world) call() {
	info := warrant.TaskInfo{XID: li.NewXID(), LIID: "LIID-1", AgencyID: "agency-1", From: w.now, Until: w.now.Add(time.Hour)}
	p, err := w.store.Session(w.t.Context(), info, 7, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	const sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
	msg := fmt.Sprintf("INVITE sip:b@example.com SIP/2.0\r\nTo: <sip:b@example.com>\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(sdp), sdp)
	w.commit(p, segment.KindIRI, []segment.Record{{IRI: &segment.IRIRecord{
		Type: "begin", Time: w.now, Direction: "from_target", Src: netip.MustParseAddrPort("192.0.2.1:5060"), Dst: netip.MustParseAddrPort("192.0.2.9:5060"),
		Method: "INVITE", SIP: []byte(msg), Element: "gw-1",
	}}})
	var cc []segment.Record
	for i := range 20 {
		cc = append(cc, w.packet(i))
	}
	gap := segment.Record{Gap: &segment.Gap{Kind: segment.KindCC, After: 9, Missing: 2, Time: w.now.Add(time.Second), Cause: "bus_full"}}
	w.commit(p, segment.KindCC, cc[:10])
	w.commit(p, segment.KindCC, append([]segment.Record{gap}, cc[10:]...))
	next := *p
	next.EndedAt, next.EndCause = w.now.Add(time.Minute), "bye"
	if err := w.store.Close(w.t.Context(), p, next, nil); err != nil {
		w.t.Fatal(err)
	}
	w.progress = p
	w.pull(p.CIN)
}

// late adds a record after the session was closed.
func (w *world) late() {
	r := w.packet(20)
	w.commit(w.progress, segment.KindCC, []segment.Record{r})
	w.pull(w.progress.CIN)
}

// packet alternates between the two sides; the far party loses its third.
func (w *world) packet(i int) segment.Record {
	src, dst, dir := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.9:20000"), x2x3.FromTarget
	n := i / 2
	if i%2 == 1 {
		src, dst, dir = netip.MustParseAddrPort("198.51.100.7:6000"), netip.MustParseAddrPort("198.51.100.9:20002"), x2x3.ToTarget
		if n >= 3 {
			n++
		}
	}
	payload := make([]byte, 160)
	for j := range payload {
		payload[j] = byte(i*7 + j)
	}
	raw, err := (&rtp.Packet{
		Header:  rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: uint16(n), Timestamp: uint32(n * 160), SSRC: uint32(1 + i%2)},
		Payload: payload,
	}).Marshal()
	if err != nil {
		w.t.Fatal(err)
	}
	datagram, format, err := x2x3.AppendDatagram(nil, src, dst, raw)
	if err != nil {
		w.t.Fatal(err)
	}
	return segment.Record{CC: &segment.CCRecord{Seq: uint32(i), Time: w.now.Add(time.Duration(n) * 20 * time.Millisecond), Direction: dir, Format: format, Packet: datagram}}
}

// commit seals records, stores the segment and keeps what a pull would fetch.
func (w *world) commit(p *evidence.Progress, kind segment.Kind, records []segment.Record) {
	w.t.Helper()
	n := uint32(0)
	var gaps []segment.Gap
	for _, r := range records {
		if r.Gap != nil {
			gaps = append(gaps, *r.Gap)
			continue
		}
		n++
	}
	h := segment.Header{LIID: p.LIID, CIN: p.CIN, Segment: p.Segments + 1, Kind: kind, FirstSeq: p.Next(kind), LastSeq: p.Next(kind) + n - 1, Created: w.now, Salt: segment.NewSalt()}
	plain, err := segment.Encode(h, records)
	if err != nil {
		w.t.Fatal(err)
	}
	sealed, err := segment.Seal([]age.Recipient{w.key.Recipient()}, plain)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := w.store.Put(w.t.Context(), p, sealed)
	if err != nil {
		w.t.Fatal(err)
	}
	next := *p
	next.LastAt = w.now
	if kind == segment.KindIRI {
		next.NextIRI += n
	} else {
		next.NextCC += n
	}
	err = w.store.Commit(w.t.Context(), p, next, evidence.Sealed{
		Kind: kind, FirstSeq: h.FirstSeq, LastSeq: h.LastSeq, FirstTime: w.now, LastTime: w.now, Plaintext: sha256.Sum256(plain), Blob: b,
		Through: []evidence.Position{{Bus: "b", Kind: kind, Seq: uint64(h.Segment)}}, Gaps: gaps,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(open.SegmentFile(h.Segment), sealed)
}

// pull writes session.json and the operator's statement.
func (w *world) pull(cin li.CIN) {
	w.t.Helper()
	var err error
	if w.doc.Session, err = w.store.SessionByCIN(w.t.Context(), "LIID-1", cin); err != nil {
		w.t.Fatal(err)
	}
	statement, err := w.store.Statement(w.t.Context(), "LIID-1", cin)
	if err != nil {
		w.t.Fatal(err)
	}
	man, err := attest.Decode(statement.Manifest)
	if err != nil {
		w.t.Fatal(err)
	}
	w.doc.Segments = man.Segments
	if w.doc.Session.ChainHead != hex.EncodeToString(w.hashOf(man)) {
		w.t.Error("the statement's chain ends elsewhere than the session's")
	}
	text, err := json.Marshal(w.doc)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(open.SessionFile(), text)
	files, err := statement.Files()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range files {
		w.write(f.Name, f.Octets)
	}
}

func (w *world) hashOf(man attest.Manifest) []byte {
	b, err := hex.DecodeString(man.Segments[len(man.Segments)-1].Chain)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) write(name string, b []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.source, name), b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// build makes a bundle; edit changes what is ordered.
func (w *world) build(edit func(*bundle.Config)) bundle.Result {
	w.t.Helper()
	cfg := bundle.Config{Source: w.source, Out: w.t.TempDir(), Identities: []age.Identity{w.key}, Version: version}
	if edit != nil {
		edit(&cfg)
	}
	r, err := bundle.Build(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) known() bundle.Known {
	return bundle.Known{Operator: pki.Fingerprint(w.cert.Certificate[0]), Log: w.logKey, Version: version}
}

// verify returns the report of a bundle.
func (w *world) verify(path string) bundle.Report {
	w.t.Helper()
	r, err := bundle.Verify(path, w.known())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// run runs a tool in dir and returns what it says.
func run(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
