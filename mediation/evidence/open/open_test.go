package open_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
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
	"github.com/zaf/g711"
	"pgregory.net/rapid"

	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

var (
	began  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	phone  = netip.MustParseAddrPort("192.0.2.1:4000")
	gw     = netip.MustParseAddrPort("192.0.2.9:20000")
	far    = netip.MustParseAddrPort("198.51.100.7:6000")
	gwFar  = netip.MustParseAddrPort("198.51.100.9:20002")
	frame  = 160
	period = 20 * time.Millisecond
)

// call builds a session's records.
type call struct {
	t   testing.TB
	iri []segment.Record
	cc  []segment.Record
}

// sip adds a message that carries an SDP body.
func (c *call) sip(direction, sdp string) {
	msg := fmt.Sprintf("INVITE sip:b@example.com SIP/2.0\r\nTo: <sip:b@example.com>\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(sdp), sdp)
	c.iri = append(c.iri, segment.Record{IRI: &segment.IRIRecord{
		Seq: uint32(len(c.iri)), Type: "begin", Time: began.Add(-time.Second), Direction: direction, Src: phone, Dst: gw, Method: "INVITE", SIP: []byte(msg), Element: "gw-1",
	}})
}

func sdp(pt int, rtpmap string) string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP %d\r\n%s", pt, rtpmap)
}

// packet is one RTP packet as it was captured.
type packet struct {
	dir     x2x3.Direction
	pt      uint8
	n       int // number of the frame: sequence and timestamp follow
	late    time.Duration
	payload []byte
}

func (c *call) rtp(p packet) {
	src, dst, ssrc := phone, gw, uint32(1)
	if p.dir == x2x3.ToTarget {
		src, dst, ssrc = far, gwFar, 2
	}
	raw, err := (&rtp.Packet{
		Header:  rtp.Header{Version: 2, PayloadType: p.pt, SequenceNumber: uint16(65500 + p.n), Timestamp: uint32(4294967000 + p.n*frame), SSRC: ssrc},
		Payload: p.payload,
	}).Marshal()
	if err != nil {
		c.t.Fatal(err)
	}
	datagram, format, err := x2x3.AppendDatagram(nil, src, dst, raw)
	if err != nil {
		c.t.Fatal(err)
	}
	c.cc = append(c.cc, segment.Record{CC: &segment.CCRecord{
		Seq: uint32(len(c.cc)), Time: began.Add(time.Duration(p.n)*period + p.late), Direction: p.dir, Format: format, Packet: datagram,
	}})
}

// speech is a frame that no other frame equals.
func speech(n int, seed byte) []byte {
	b := make([]byte, frame)
	for i := range b {
		b[i] = byte(n*7+i) ^ seed
	}
	return b
}

// sealed writes the call as a pulled session and returns its folder and key.
func (c *call) sealed() (dir string, key *age.X25519Identity) {
	c.t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		c.t.Fatal(err)
	}
	dir = c.t.(interface{ TempDir() string }).TempDir()
	doc := segment.Pulled{Session: segment.SessionDoc{LIID: "L-1", CIN: 3, StartedAt: began, EndedAt: &began, Direction: "from_target"}}
	chain := segment.ChainStart("L-1", 3)
	half := len(c.cc) / 2
	for i, part := range []struct {
		kind    segment.Kind
		records []segment.Record
		first   int
	}{{segment.KindIRI, c.iri, 0}, {segment.KindCC, c.cc[:half], 0}, {segment.KindCC, c.cc[half:], half}} {
		h := segment.Header{
			LIID: "L-1", CIN: 3, Segment: uint32(i + 1), Kind: part.kind, Created: began, Salt: segment.NewSalt(),
			FirstSeq: uint32(part.first), LastSeq: uint32(max(part.first+len(part.records)-1, 0)),
		}
		plain, err := segment.Encode(h, part.records)
		if err != nil {
			c.t.Fatal(err)
		}
		b, err := segment.Seal([]age.Recipient{key.Recipient()}, plain)
		if err != nil {
			c.t.Fatal(err)
		}
		ct, pt := sha256.Sum256(b), sha256.Sum256(plain)
		chain = segment.ChainNext(chain, h.Segment, ct, pt)
		doc.Segments = append(doc.Segments, segment.SegmentDoc{
			Number: h.Segment, Kind: h.Kind, FirstSeq: h.FirstSeq, LastSeq: h.LastSeq, FirstTime: began, LastTime: began, Bytes: int64(len(b)),
			SHA256: hex.EncodeToString(ct[:]), PlainSHA256: hex.EncodeToString(pt[:]), Chain: hex.EncodeToString(chain[:]),
		})
		c.write(filepath.Join(dir, open.SegmentFile(h.Segment)), b)
	}
	doc.Session.Segments, doc.Session.ChainHead = 3, hex.EncodeToString(chain[:])
	doc.Session.IRIRecords, doc.Session.CCRecords = int64(len(c.iri)), int64(len(c.cc))
	text, err := json.Marshal(doc)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(filepath.Join(dir, open.SessionFile()), text)
	return dir, key
}

func (c *call) write(path string, b []byte) {
	c.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// opened opens the call and returns its folder, manifest and channels.
func (c *call) opened() (dir string, man open.Manifest, left, right []int16) {
	c.t.Helper()
	source, key := c.sealed()
	dir = filepath.Join(source, "out")
	man, err := open.Session(c.t.Context(), open.Config{Source: source, Out: dir, Identities: []age.Identity{key}})
	if err != nil {
		c.t.Fatal(err)
	}
	wav, err := os.ReadFile(filepath.Join(dir, open.FileAudio))
	if errors.Is(err, os.ErrNotExist) {
		return dir, man, nil, nil
	}
	at := bytes.Index(wav, []byte("data"))
	if err != nil || at < 0 || binary.LittleEndian.Uint16(wav[22:]) == 0 {
		c.t.Fatalf("WAV: %v", err)
	}
	for d := wav[at+8:]; len(d) >= 4; d = d[4:] {
		left, right = append(left, int16(binary.LittleEndian.Uint16(d))), append(right, int16(binary.LittleEndian.Uint16(d[2:])))
	}
	return dir, man, left, right
}

func decode(pt uint8, b []byte) []int16 {
	out := make([]int16, len(b))
	for i, o := range b {
		if pt == 8 {
			out[i] = g711.DecodeAlawFrame(o)
		} else {
			out[i] = g711.DecodeUlawFrame(o)
		}
	}
	return out
}

func equal(a, b []int16) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Whoever called: the target is left and the far party right, for both laws and for
// dynamic payload types that the SDP names.
func TestTargetLeftFarRight(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pt      uint8
		law     uint8
		rtpmap  string
		inbound string
	}{
		"A-law":              {8, 8, "a=rtpmap:8 PCMA/8000\r\n", "from_target"},
		"mu-law":             {0, 0, "", "to_target"},
		"dynamic A-law":      {97, 8, "a=rtpmap:97 PCMA/8000\r\n", "to_target"},
		"dynamic mu-law":     {98, 0, "a=rtpmap:98 pcmu/8000/1\r\n", "from_target"},
		"A-law, no SDP seen": {8, 8, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &call{t: t}
			if tt.inbound != "" {
				c.sip("from_target", sdp(int(tt.pt), tt.rtpmap))
				c.sip("to_target", sdp(int(tt.pt), tt.rtpmap))
			}
			var wantL, wantR []int16
			for n := range 100 {
				c.rtp(packet{dir: x2x3.FromTarget, pt: tt.pt, n: n, payload: speech(n, 1)})
				c.rtp(packet{dir: x2x3.ToTarget, pt: tt.pt, n: n, payload: speech(n, 2)})
				wantL, wantR = append(wantL, decode(tt.law, speech(n, 1))...), append(wantR, decode(tt.law, speech(n, 2))...)
			}
			_, man, left, right := c.opened()
			if !equal(left, wantL) || !equal(right, wantR) {
				t.Errorf("channels of %d and %d samples are not what was said (%d)", len(left), len(right), len(wantL))
			}
			if man.Audio == nil || len(man.Legs) != 2 || man.Legs[0].LostPackets != 0 {
				t.Errorf("manifest %+v", man)
			}
		})
	}
}

// Any loss, duplication and reordering gives audio of the right length, each frame
// at its place and silence exactly where packets are missing.
func TestLossIsSilenceInItsPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		total := rapid.IntRange(2, 60).Draw(rt, "frames")
		c := &call{t: t}
		want := make([]int16, total*frame)
		var packets []packet
		for n := range total {
			kept := n == 0 || n == total-1 || rapid.IntRange(0, 3).Draw(rt, "kept") > 0
			if !kept {
				continue
			}
			copy(want[n*frame:], decode(8, speech(n, 1)))
			for range 1 + rapid.IntRange(0, 5).Draw(rt, "again")/5 {
				late := time.Duration(rapid.IntRange(0, 60).Draw(rt, "late ms")) * time.Millisecond
				if n == 0 {
					late = 0
				}
				packets = append(packets, packet{dir: x2x3.FromTarget, pt: 8, n: n, late: late, payload: speech(n, 1)})
			}
		}
		for _, p := range packets {
			c.rtp(p)
		}
		_, man, left, right := c.opened()
		if !equal(left, want) {
			rt.Fatalf("left has %d samples, want %d with silence where packets are missing", len(left), len(want))
		}
		for _, v := range right {
			if v != 0 {
				rt.Fatal("the far party was silent")
			}
		}
		distinct := map[int]bool{}
		for _, p := range packets {
			distinct[p.n] = true
		}
		if leg := man.Legs[0]; leg.LostPackets != total-len(distinct) || leg.Duplicates != len(packets)-len(distinct) {
			rt.Fatalf("manifest says %d lost, %d doubled; want %d, %d", leg.LostPackets, leg.Duplicates, total-len(distinct), len(packets)-len(distinct))
		}
	})
}

// Telephone events hold no audio but keep the time; a codec that we cannot decode
// gives no WAV and is said plainly.
func TestOtherPayloads(t *testing.T) {
	t.Parallel()
	c := &call{t: t}
	c.sip("from_target", sdp(8, "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"))
	want := make([]int16, 10*frame)
	for n := range 10 {
		if n == 4 || n == 5 {
			c.rtp(packet{dir: x2x3.FromTarget, pt: 101, n: n, payload: []byte{5, 10, 0, 160}})
			continue
		}
		copy(want[n*frame:], decode(8, speech(n, 1)))
		c.rtp(packet{dir: x2x3.FromTarget, pt: 8, n: n, payload: speech(n, 1)})
	}
	_, man, left, _ := c.opened()
	if !equal(left, want) {
		t.Error("telephone events moved the audio")
	}
	if keys := man.Legs[0].Keys; len(keys) != 2 || keys[0] != (open.Key{Key: "5", Time: began.Add(4 * period), DurationMS: 20}) {
		t.Errorf("keys %+v", keys)
	}

	c = &call{t: t}
	c.sip("from_target", sdp(111, "a=rtpmap:111 opus/48000/2\r\n"))
	for n := range 10 {
		c.rtp(packet{dir: x2x3.FromTarget, pt: 111, n: n, payload: speech(n, 1)})
	}
	dir, man, left, _ := c.opened()
	if left != nil || man.Audio != nil || len(man.Legs) != 1 || man.Legs[0].Codecs[0].InWAV || !strings.Contains(strings.ToLower(man.Legs[0].Codecs[0].Name), "opus") {
		t.Errorf("opus: manifest %+v", man)
	}
	if info, err := os.Stat(filepath.Join(dir, open.FileCapture)); err != nil || info.Size() < 10*200 {
		t.Errorf("the capture is not complete: %v", err)
	}
}

func TestOpensTheSameTwice(t *testing.T) {
	t.Parallel()
	c := &call{t: t}
	c.sip("from_target", sdp(8, ""))
	for n := range 20 {
		c.rtp(packet{dir: x2x3.FromTarget, pt: 8, n: n, payload: speech(n, 1)})
	}
	source, key := c.sealed()
	var sums [2][]string
	for i := range sums {
		out := filepath.Join(t.TempDir(), "out")
		man, err := open.Session(t.Context(), open.Config{Source: source, Out: out, Identities: []age.Identity{key}})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range man.Files {
			sums[i] = append(sums[i], f.Name+" "+f.SHA256)
			if f.Role != open.Derived {
				continue
			}
			b, err := os.ReadFile(filepath.Join(out, f.Name))
			if sum := sha256.Sum256(b); err != nil || hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("%s is not what the manifest says (%v)", f.Name, err)
			}
			if info, err := os.Stat(filepath.Join(out, f.Name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v", f.Name, info.Mode(), err)
			}
		}
	}
	if strings.Join(sums[0], "\n") != strings.Join(sums[1], "\n") {
		t.Errorf("two openings differ:\n%v\n%v", sums[0], sums[1])
	}
}

// Each kind of damage is found and named by segment, and nothing is written.
func TestRefusesDamage(t *testing.T) {
	t.Parallel()
	change := func(name string, f func([]byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	inDoc := func(edit func(*segment.Pulled)) func(t *testing.T, dir string) {
		return change(open.SessionFile(), func(b []byte) []byte {
			var doc segment.Pulled
			if err := json.Unmarshal(b, &doc); err != nil {
				panic(err)
			}
			edit(&doc)
			out, _ := json.Marshal(doc)
			return out
		})
	}
	second := open.SegmentFile(2)
	for name, tt := range map[string]struct {
		damage  func(t *testing.T, dir string)
		segment uint32
		want    error
	}{
		"flipped octet":      {change(second, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), 2, open.ErrCiphertext},
		"cut off":            {change(second, func(b []byte) []byte { return b[:len(b)-1] }), 2, open.ErrSize},
		"missing file":       {func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, second)) }, 2, open.ErrAbsent},
		"swapped list":       {inDoc(func(p *segment.Pulled) { p.Segments[1], p.Segments[2] = p.Segments[2], p.Segments[1] }), 2, open.ErrNumber},
		"dropped from list":  {inDoc(func(p *segment.Pulled) { p.Segments = p.Segments[:2] }), 0, open.ErrCount},
		"dropped, recounted": {inDoc(func(p *segment.Pulled) { p.Segments = p.Segments[:2]; p.Session.Segments = 2 }), 0, open.ErrHead},
		"forged chain link":  {inDoc(func(p *segment.Pulled) { p.Segments[1].Chain = p.Segments[0].Chain }), 2, open.ErrChain},
		"other CIN":          {inDoc(func(p *segment.Pulled) { p.Session.CIN = 4 }), 1, open.ErrChain},
		"bad hash text":      {inDoc(func(p *segment.Pulled) { p.Segments[0].SHA256 = "zz" }), 1, open.ErrHash},
		"no session.json":    {func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, open.SessionFile())) }, 0, open.ErrSession},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &call{t: t}
			c.sip("from_target", sdp(8, ""))
			for n := range 20 {
				c.rtp(packet{dir: x2x3.FromTarget, pt: 8, n: n, payload: speech(n, 1)})
			}
			dir, key := c.sealed()
			tt.damage(t, dir)
			out := filepath.Join(t.TempDir(), "out")
			_, err := open.Session(t.Context(), open.Config{Source: dir, Out: out, Identities: []age.Identity{key}})
			var of *open.SegmentError
			if !errors.Is(err, tt.want) || errors.As(err, &of) != (tt.segment != 0) || tt.segment != 0 && of.Segment != tt.segment {
				t.Errorf("got %v, want %v of segment %d", err, tt.want, tt.segment)
			}
			if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
}

func TestAnotherKey(t *testing.T) {
	t.Parallel()
	c := &call{t: t}
	c.sip("from_target", sdp(8, ""))
	c.rtp(packet{dir: x2x3.FromTarget, pt: 8, payload: speech(0, 1)})
	dir, _ := c.sealed()
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	_, err = open.Session(t.Context(), open.Config{Source: dir, Out: filepath.Join(dir, "out"), Identities: []age.Identity{other}})
	if !errors.Is(err, open.ErrKey) {
		t.Errorf("got %v, want ErrKey", err)
	}
}

// Wireshark reads the capture: every SIP message and every RTP packet.
func TestCaptureOpensInWireshark(t *testing.T) {
	t.Parallel()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed; make test installs it")
	}
	c := &call{t: t}
	c.sip("from_target", sdp(8, "a=rtpmap:8 PCMA/8000\r\n"))
	for n := range 25 {
		c.rtp(packet{dir: x2x3.FromTarget, pt: 8, n: n, payload: speech(n, 1)})
	}
	dir, _, _, _ := c.opened()
	out, err := exec.Command(tshark, "-r", filepath.Join(dir, open.FileCapture), "-d", "udp.port==20000,rtp", "-d", "udp.port==4000,rtp", "-o", "ip.check_checksum:TRUE",
		"-T", "fields", "-e", "frame.protocols", "-e", "ip.checksum.status").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	rtps := 0
	for _, l := range lines {
		if strings.Contains(l, "rtp") && strings.HasSuffix(l, "1") {
			rtps++
		}
	}
	if len(lines) != 26 || rtps != 25 {
		t.Errorf("%d packets, %d of RTP with right checksums; want 26, 25:\n%s", len(lines), rtps, out)
	}
}

// Foreign octets as media never panic and never give endless audio.
func FuzzMedia(f *testing.F) {
	f.Add([]byte{0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, 1, 1, 2, 3}, int64(0))
	f.Fuzz(func(t *testing.T, payload []byte, late int64) {
		if len(payload) > 1500 {
			return
		}
		c := &call{t: t}
		for i := range 3 {
			datagram, format, err := x2x3.AppendDatagram(nil, phone, gw, payload)
			if err != nil {
				t.Fatal(err)
			}
			c.cc = append(c.cc, segment.Record{CC: &segment.CCRecord{Seq: uint32(i), Time: began.Add(time.Duration(late) * time.Duration(i)), Direction: x2x3.FromTarget, Format: format, Packet: datagram}})
		}
		_, _, left, right := c.opened()
		if len(left) != len(right) || len(left) > 24*3600*8000 {
			t.Fatalf("%d and %d samples", len(left), len(right))
		}
	})
}

// SRTP that the network element opened is audio; SRTP that nobody opened is not, and
// the manifest says so of each.
func TestEncryptedMedia(t *testing.T) {
	t.Parallel()
	for name, decrypted := range map[string]bool{"opened at the tap": true, "as it was sent": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &call{t: t}
			key := "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20\r\n"
			c.sip("from_target", strings.Replace(sdp(8, key), "RTP/AVP", "RTP/SAVP", 1))
			var want []int16
			for n := range 10 {
				c.rtp(packet{dir: x2x3.FromTarget, pt: 8, n: n, payload: speech(n, 1)})
				c.cc[n].CC.Decrypted = decrypted
				want = append(want, decode(8, speech(n, 1))...)
			}
			_, man, left, _ := c.opened()
			note := strings.Join(man.Notes, "\n")
			if decrypted && (!equal(left, want) || man.Legs[0].Encrypted != 0 || !strings.Contains(note, "10 packets stand here as the network element decrypted them")) {
				t.Errorf("%d samples, manifest %+v", len(left), man)
			}
			if !decrypted && (left != nil || man.Legs[0].Encrypted != 10 || !strings.Contains(note, "10 packets are as they were sent")) {
				t.Errorf("%d samples, manifest %+v", len(left), man)
			}
		})
	}
}
