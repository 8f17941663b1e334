package deliver_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// captured is what stands in an agency's capture files.
type captured struct {
	files    []string
	comments []string
	packets  map[string]int // what each packet carries, and how often it is there
}

// captures opens all files of an agency.
func captures(t *testing.T, folder string, key age.Identity) captured {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	c := captured{files: found, packets: map[string]int{}}
	for _, path := range found {
		sealed, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := segment.Open([]age.Identity{key}, sealed)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		r, err := pcapgo.NewNgReader(bytes.NewReader(plain), pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		c.comments = append(c.comments, r.SectionInfo().Comment)
		for {
			b, _, err := r.ReadPacketData()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			text := b[max(bytes.LastIndex(b, []byte("packet ")), bytes.Index(b, []byte("CSeq"))):]
			line, _, _ := strings.Cut(string(text), "\r")
			c.packets[line]++
		}
	}
	slices.Sort(c.comments)
	return c
}

func (c captured) once(what string, n int) error {
	for i := range n {
		if k := c.packets[fmt.Sprintf(what, i)]; k != 1 {
			return fmt.Errorf("%q is there %d times", fmt.Sprintf(what, i), k)
		}
	}
	return nil
}

// Capture files alone, without any LEMF: each packet once, sealed to the agency, under
// names that tell nothing; a session of signalling only has no content in them.
func TestCaptureFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.to(t, warrant.Delivery{AgencyID: "a", FileDrop: true}, "", "", "")
	line := w.line(t, "a", "LI-SECRET", 7, true)
	push := func(l *deliver.Line, kind segment.Kind, records []segment.Record, parts int) {
		t.Helper()
		for part := range parts {
			some := records[part*len(records)/parts : (part+1)*len(records)/parts]
			receipts, err := l.Push(kind, uint32(part*len(records)/parts), 0, some)
			if err != nil || l.Takes(kind) {
				t.Fatalf("%v, or over a stream", err)
			}
			for _, r := range receipts {
				if err := ended(t, r.Receipt); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	push(line, segment.KindIRI, signalling(10), 2)
	push(line, segment.KindCC, content(3000), 200) // more than twice as long as one file
	other := w.line(t, "a", "LI-OTHER", 1, false)
	push(other, segment.KindCC, content(1), 1)
	var got captured
	eventually(t, "not all is in files", func() bool {
		got = captures(t, filepath.Join(w.drop, "a"), w.agency)
		return len(got.packets) >= 3010
	})
	if err := got.once("packet %d", 3000); err != nil {
		t.Error(err)
	}
	if err := got.once("CSeq: %d INFO", 10); err != nil {
		t.Error(err)
	}
	if len(got.packets) != 3010 || len(got.files) < 3 {
		t.Errorf("%d packets in %d files", len(got.packets), len(got.files))
	}
	if !strings.Contains(got.comments[0], "LIID LI-SECRET, CIN 7, ") || !strings.Contains(fmt.Sprint(got.comments), "IRI 0 to 9") {
		t.Errorf("comments %q", got.comments)
	}
	for _, f := range got.files {
		if b, _ := os.ReadFile(f); strings.Contains(f, "LI-") || bytes.Contains(b, []byte("LI-SECRET")) || len(filepath.Base(f)) != 32+len(".pcapng.age") {
			t.Errorf("%s tells something", f)
		}
	}
}

// Files beside HI2 and HI3, and a delivery that wants them no more.
func TestCaptureFilesBesideTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	l, cert, _ := w.lemf(t, nil)
	hi2, hi3 := l.Addrs()
	w.to(t, warrant.Delivery{AgencyID: "a", FileDrop: true}, hi2.String(), hi3.String(), cert)
	line := w.line(t, "a", "LI-1", 1, true)
	w.push(t, "a", line, segment.KindCC, 3, content(300))
	whole(t, l, "LI-1", 1, etsi.KindCC, 300)
	eventually(t, "not all is in files", func() bool { return captures(t, filepath.Join(w.drop, "a"), w.agency).once("packet %d", 300) == nil })
	w.to(t, warrant.Delivery{AgencyID: "a"}, hi2.String(), hi3.String(), cert)
	eventually(t, "the new delivery does not count", func() bool {
		later := w.line(t, "a", "LI-1", 2, true)
		receipts, err := later.Push(segment.KindIRI, 0, 0, signalling(1))
		return err == nil && len(receipts) == 1
	})
	w.push(t, "a", w.line(t, "a", "LI-1", li.CIN(3), true), segment.KindCC, 1, content(10))
	eventually(t, "the stream ends with the files", func() bool {
		return l.State().Sessions[lemf.Key{LIID: "LI-1", CIN: 3, Kind: etsi.KindCC}].PDUs == 10
	})
	for _, c := range captures(t, filepath.Join(w.drop, "a"), w.agency).comments {
		if strings.Contains(c, "CIN 3") {
			t.Errorf("%q was not wanted any more", c)
		}
	}
}

// A delivery for which there is no room is an alarm; another agency's counts.
func TestDeliveryWithoutRoomIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.to(t, warrant.Delivery{AgencyID: "big", FileDrop: true, BufferCC: 1 << 40}, "", "", "")
	w.to(t, warrant.Delivery{AgencyID: "a", FileDrop: true}, "", "", "")
	w.line(t, "a", "LI-1", 1, true)
	eventually(t, "no alarm", func() bool { open, _ := w.records.alarm("handover_misconfigured agency big"); return open })
}
