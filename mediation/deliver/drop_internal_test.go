package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// dropWorld is an agency's folder and what stands on its spool.
type dropWorld struct {
	t     *testing.T
	dir   string
	key   *age.X25519Identity
	spool [][]byte
	acked map[int]bool
	now   time.Time
	fail  error // of Recipients
}

func newDropWorld(t *testing.T) *dropWorld {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return &dropWorld{t: t, dir: t.TempDir(), key: key, acked: map[int]bool{}, now: time.Unix(1_700_000_000, 0)}
}

// spooled puts records of one kind of a session onto the spool, several to a message.
func (w *dropWorld) spooled(cin li.CIN, kind segment.Kind, first, n int) {
	w.t.Helper()
	out := &outbound{delivery: warrant.Delivery{FileDrop: true}, queues: queues{drop: newQueue()}}
	l := &Line{way: &way{}, delivery: out.delivery, liid: "LI-1", cin: cin, ordered: true}
	l.way.now.Store(out)
	var records []segment.Record
	for i := range n {
		text := fmt.Sprintf("%s of %d: %d;", kind, cin, first+i)
		if kind == segment.KindIRI {
			addr := netip.MustParseAddrPort("192.0.2.1:5070")
			records = append(records, segment.Record{IRI: &segment.IRIRecord{Type: "continue", Time: w.now, Src: addr, Dst: addr, SIP: []byte(text)}})
			continue
		}
		packet, format, err := x2x3.AppendDatagram(nil, netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:4000"), []byte(text))
		if err != nil {
			w.t.Fatal(err)
		}
		records = append(records, segment.Record{CC: &segment.CCRecord{Time: w.now, Format: format, Packet: packet}})
	}
	if _, err := l.Push(kind, uint32(first), 0, records); err != nil { //nolint:gosec // small
		w.t.Fatal(err)
	}
	w.spool = append(w.spool, out.drop.take().data)
}

// writer is a process's writer; it knows what stands on disk.
func (w *dropWorld) writer() *dropWriter {
	w.t.Helper()
	d := &dropWriter{
		Drop: Drop{
			Dir: w.dir, Key: bytes.Repeat([]byte{3}, 32),
			Recipients: func(context.Context, warrant.AgencyID) ([]string, error) {
				return []string{w.key.Recipient().String()}, w.fail
			},
		}.withDefaults(),
		agency: "a", name: "agency a drop", now: func() time.Time { return w.now },
		trouble: func(context.Context, string, error) {}, alarms: noAlarms{},
		files: prometheus.NewCounter(prometheus.CounterOpts{}), malformed: prometheus.NewCounter(prometheus.CounterOpts{}),
	}
	if err := d.prepare(); err != nil {
		w.t.Fatal(err)
	}
	return d
}

type noAlarms struct{}

func (noAlarms) OpenAlarm(context.Context, string, string) error  { return nil }
func (noAlarms) CloseAlarm(context.Context, string, string) error { return nil }

// hand gives a writer what stands on the spool, from message to message, unless it is
// acknowledged.
func (w *dropWorld) hand(d *dropWriter, from, to int, ackLost bool) {
	for i := from; i < to; i++ {
		if !w.acked[i] {
			d.take(bus.SpoolMessage{Data: w.spool[i], Ack: func() error {
				if ackLost {
					return errors.New("lost")
				}
				w.acked[i] = true
				return nil
			}})
		}
	}
}

func everything(s *dropSession) bool { return s.octets > 0 }

// packets opens all files and counts what is in them.
func (w *dropWorld) packets() (all map[string]int, comments string) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "a", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	all = map[string]int{}
	for _, f := range files {
		sealed, err := os.ReadFile(f)
		if err != nil {
			w.t.Fatal(err)
		}
		plain, err := segment.Open([]age.Identity{w.key}, sealed)
		if err != nil {
			w.t.Fatal(err)
		}
		r, err := pcapgo.NewNgReader(bytes.NewReader(plain), pcapgo.DefaultNgReaderOptions)
		if err != nil {
			w.t.Fatal(err)
		}
		comments += r.SectionInfo().Comment + "\n"
		for b, _, err := r.ReadPacketData(); err != io.EOF; b, _, err = r.ReadPacketData() {
			if err != nil {
				w.t.Fatal(err)
			}
			all[string(b[28:])]++
		}
	}
	return all, comments
}

// A process that dies at any step of writing files leaves each record in one file,
// once, whatever comes on the spool meanwhile and however it is grouped then.
func TestCaptureFilesOnceWhereverItDies(t *testing.T) {
	t.Parallel()
	steps := map[string]func(*dropWorld, *dropWriter){
		"before anything": func(*dropWorld, *dropWriter) {},
		"keys unreachable": func(w *dropWorld, d *dropWriter) {
			w.fail = errors.New("away")
			d.write(t.Context(), everything)
			w.fail = nil
		},
		"end noted":        func(w *dropWorld, d *dropWriter) { w.noted(d) },
		"one file written": func(w *dropWorld, d *dropWriter) { w.noted(d); w.filed(d, 1) },
		"files written":    func(w *dropWorld, d *dropWriter) { w.noted(d); w.filed(d, 2) },
		"noted, not acked": func(w *dropWorld, d *dropWriter) {
			if err := d.writeAll(t.Context(), d.sessions); err != nil {
				t.Error(err)
			}
		},
	}
	for name, dies := range steps {
		for _, before := range []int{1, 3, 6} { // messages that came before it died
			t.Run(fmt.Sprintf("%s, %d", name, before), func(t *testing.T) {
				t.Parallel()
				w := newDropWorld(t)
				for part := range 3 {
					w.spooled(1, segment.KindIRI, part*2, 2)
					w.spooled(1, segment.KindCC, part*50, 50)
					w.spooled(2, segment.KindCC, part*10, 10)
				}
				d := w.writer()
				w.hand(d, 0, before, true)
				dies(w, d)
				d = w.writer()
				w.hand(d, 0, 2, false)
				d.write(t.Context(), everything)
				w.hand(d, 0, 5, false) // handed out again, and more
				d.write(t.Context(), everything)
				w.hand(d, 5, len(w.spool), false)
				d.write(t.Context(), everything)
				w.hand(d, 0, len(w.spool), false)
				d.write(t.Context(), everything)
				got, comments := w.packets()
				for text, n := range map[string]int{"iri of 1": 6, "cc of 1": 150, "cc of 2": 30} {
					for i := range n {
						if k := got[fmt.Sprintf("%s: %d;", text, i)]; k != 1 {
							t.Fatalf("%s %d is there %d times\n%s", text, i, k, comments)
						}
					}
				}
				if len(w.acked) != len(w.spool) || d.octets != 0 || strings.Contains(comments, "not here") {
					t.Errorf("%d of %d messages acknowledged, %d octets held; %s", len(w.acked), len(w.spool), d.octets, comments)
				}
				if left, _ := filepath.Glob(filepath.Join(w.dir, dropWork, "*")); len(left) != 1 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// noted settles and notes where the next files end.
func (w *dropWorld) noted(d *dropWriter) {
	w.t.Helper()
	for id, s := range d.sessions {
		s.begin()
		d.marks[id] = s.mark
	}
	if err := saveMarks(d.marksFile(), d.marks); err != nil {
		w.t.Fatal(err)
	}
}

// filed writes n of the files that were noted.
func (w *dropWorld) filed(d *dropWriter, n int) {
	w.t.Helper()
	to, err := segment.ParseRecipients([]string{w.key.Recipient().String()})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range d.sessions {
		if n--; n < 0 {
			return
		}
		if err := s.file(d.Drop, d.folder(), func(b []byte) ([]byte, error) { return segment.Seal(to, b) }); err != nil {
			w.t.Fatal(err)
		}
	}
}

// What a full buffer did not take at a call's begin is named in its first file; what it
// did not take at the end, in one that the end of the call brings, without packets.
func TestCaptureFilesSayWhatIsMissingAtBothEnds(t *testing.T) {
	t.Parallel()
	w := newDropWorld(t)
	w.spooled(1, segment.KindCC, 5, 10)
	d := w.writer()
	w.hand(d, 0, 1, false)
	d.write(t.Context(), everything)
	end := func(cin li.CIN, nextIRI, nextCC uint32) {
		out := &outbound{delivery: warrant.Delivery{FileDrop: true}}
		l := &Line{way: &way{}, delivery: out.delivery, liid: "LI-1", cin: cin, ordered: true}
		l.way.now.Store(out)
		note, err := l.Ended(nextIRI, nextCC, w.now)
		if err != nil || len(note) != 1 {
			t.Fatal(err)
		}
		w.spool = append(w.spool, note[0].PDU)
	}
	end(1, 3, 20)
	w.spooled(2, segment.KindCC, 0, 10)
	end(2, 0, 10)
	d = w.writer() // the first one died
	w.hand(d, 1, 4, false)
	w.now = w.now.Add(dropLinger)
	d.write(t.Context(), d.due)
	got, comments := w.packets()
	if len(got) != 20 || len(w.acked) != 4 {
		t.Errorf("%d packets, %d messages acknowledged", len(got), len(w.acked))
	}
	for _, want := range []string{
		"CIN 1, CC 5 to 14; in earlier files or, where the buffer was full, in the sealed store only: CC 0 to 4.",
		"CIN 1; in earlier files or, where the buffer was full, in the sealed store only: IRI 0 to 2, CC 15 to 19.",
		"CIN 2, CC 0 to 9.",
	} {
		if !strings.Contains(comments, want) {
			t.Errorf("no file says %q: %s", want, comments)
		}
	}
	w.now = w.now.Add(oldMark + time.Second)
	if d.forget(); len(d.sessions)+len(d.marks) != 0 {
		t.Errorf("%d sessions are kept", len(d.sessions))
	}
}

// What a full buffer did not take is named in the next file, and what waits closes a
// file when it is old, large or at the call's end.
func TestCaptureFilesSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newDropWorld(t)
	w.spooled(1, segment.KindCC, 0, 10)
	w.spooled(1, segment.KindCC, 25, 10)
	d := w.writer()
	w.hand(d, 0, 2, false)
	d.write(t.Context(), d.due)
	if got, _ := w.packets(); len(got) != 0 || len(w.acked) != 0 {
		t.Errorf("%d packets at once", len(got))
	}
	w.now = w.now.Add(d.Every)
	d.write(t.Context(), d.due)
	got, comments := w.packets()
	if len(got) != 20 || !strings.Contains(comments, "CC 0 to 34; in earlier files or, where the buffer was full, in the sealed store only: CC 10 to 24.") {
		t.Errorf("%d packets, %s", len(got), comments)
	}
	w.now = w.now.Add(dropOld + time.Second)
	d.forget()
	if len(d.sessions)+len(d.marks) != 0 {
		t.Errorf("%d sessions are kept", len(d.sessions))
	}
	w.spooled(1, segment.KindCC, 35, 1) // it lived after all
	w.hand(d, 2, 3, false)
	d.write(t.Context(), everything)
	if got, _ := w.packets(); len(got) != 21 || len(w.acked) != 3 {
		t.Errorf("%d packets, %d messages acknowledged", len(got), len(w.acked))
	}
	d.Keep = time.Hour
	d.sweep(t.Context())
	if got, _ := w.packets(); len(got) != 21 {
		t.Errorf("new files are removed: %d packets", len(got))
	}
	w.now = time.Now().Add(2 * time.Hour)
	d.sweep(t.Context())
	if got, _ := w.packets(); len(got) != 0 {
		t.Errorf("old files are kept: %d packets", len(got))
	}
}

// Killed between a file and its note: what was learnt behind it meanwhile is named in the
// next file.
func TestDropGapAfterACrash(t *testing.T) {
	t.Parallel()
	w := newDropWorld(t)
	w.spooled(1, segment.KindIRI, 0, 10)
	one := w.writer()
	w.hand(one, 0, 1, false)
	one.write(t.Context(), everything)
	marks := map[string]dropMark{}
	for id := range one.marks {
		marks[id] = dropMark{ToIRI: 10, Writing: true}
	}
	if err := saveMarks(one.marksFile(), marks); err != nil {
		t.Fatal(err)
	}
	w.acked = map[int]bool{}
	out := &outbound{delivery: warrant.Delivery{FileDrop: true}}
	l := &Line{way: &way{}, delivery: out.delivery, liid: "LI-1", cin: 1, ordered: true}
	l.way.now.Store(out)
	end, err := l.Ended(15, 0, w.now) // 10 to 14 did not fit
	if err != nil {
		t.Fatal(err)
	}
	w.spool = append(w.spool, end[0].PDU)
	two := w.writer()
	w.hand(two, 0, 2, false)
	for range 3 {
		w.now = w.now.Add(time.Minute)
		two.write(t.Context(), two.due)
	}
	if _, comments := w.packets(); !strings.Contains(comments, "IRI 10 to 14") || len(w.acked) != 2 {
		t.Errorf("%d of 2 acknowledged, and no file names 10 to 14:\n%s", len(w.acked), comments)
	}
}

// Each stretch of missing numbers is named, however many there are.
func TestDropManyGaps(t *testing.T) {
	t.Parallel()
	const runs = 250
	w := newDropWorld(t)
	d := w.writer()
	for i := range runs {
		w.spooled(1, segment.KindIRI, 2*i, 1)
	}
	for i := range runs {
		w.hand(d, i, i+1, false)
		d.write(t.Context(), d.full)
	}
	d.write(t.Context(), everything)
	_, comments := w.packets()
	for i := range runs - 1 {
		name := fmt.Sprintf("IRI %d to %d", 2*i+1, 2*i+1)
		if !strings.Contains(comments, name) {
			t.Fatalf("%s is missing, and not named", name)
		}
	}
	s := sessionOf(dropMark{}, w.now)
	for i := range uint32(maxGaps + 5) {
		s.gap(1, 2*i, 2*i+1)
	}
	s.next[1] = 2*maxGaps + 10
	s.begin()
	if text := s.comment(0, 0); !strings.Contains(text, "and 5 more stretches up to CC 2008 to 2008") || len(text) > 65535 {
		t.Errorf("%d octets end in %s", len(text), text[len(text)-100:])
	}
}
