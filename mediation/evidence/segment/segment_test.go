package segment_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

var at = time.Unix(1_700_000_000, 123_456_000).UTC()

func header(kind segment.Kind) segment.Header {
	return segment.Header{LIID: "LIID-1", CIN: 1, Segment: 2, Kind: kind, FirstSeq: 3, LastSeq: 4, Created: at, Salt: bytes.Repeat([]byte{1}, 32)}
}

func iriRecords() []segment.Record {
	return []segment.Record{
		{IRI: &segment.IRIRecord{
			Seq: 3, Type: "begin", Time: at, Direction: "from_target", Src: netip.MustParseAddrPort("192.0.2.1:5060"),
			Dst: netip.MustParseAddrPort("[2001:db8::1]:5060"), Method: "INVITE", SIP: []byte("INVITE\r\n\x00\xff"), Element: "gw-1",
		}},
		{Gap: &segment.Gap{Kind: segment.KindIRI, After: 3, Missing: 2, Time: at, Cause: "lost at the gateway"}},
	}
}

func ccRecords() []segment.Record {
	return []segment.Record{
		{CC: &segment.CCRecord{Seq: 3, Time: at, Direction: x2x3.FromTarget, Format: x2x3.FormatIPv4, Packet: []byte{1, 2, 3}}},
		{CC: &segment.CCRecord{Seq: 4, Time: at, Direction: x2x3.ToTarget, Format: x2x3.FormatIPv6, Decrypted: true, Packet: []byte{}}},
	}
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	agency, other := identity(t), identity(t)
	for kind, records := range map[segment.Kind][]segment.Record{segment.KindIRI: iriRecords(), segment.KindCC: ccRecords()} {
		plain, err := segment.Encode(header(kind), records)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := segment.Seal([]age.Recipient{agency.Recipient()}, plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := segment.Open([]age.Identity{other}, sealed); !errors.Is(err, segment.ErrKey) {
			t.Errorf("another key: %v", err)
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := segment.Open([]age.Identity{agency}, sealed); err == nil {
			t.Error("a damaged segment opened")
		}
		sealed[len(sealed)-1] ^= 1
		opened, err := segment.Open([]age.Identity{agency}, sealed)
		if err != nil {
			t.Fatal(err)
		}
		h, got, err := segment.Decode(opened)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(header(kind), h); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(records, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	}
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	noSalt := header(segment.KindIRI)
	noSalt.Salt = nil
	if _, err := segment.Encode(noSalt, nil); !errors.Is(err, segment.ErrHeader) {
		t.Errorf("no salt: %v", err)
	}
	if _, err := segment.Encode(header(segment.KindIRI), ccRecords()); !errors.Is(err, segment.ErrRecord) {
		t.Errorf("content in an IRI segment: %v", err)
	}
	if _, err := segment.Encode(header(segment.KindCC), iriRecords()[:1]); !errors.Is(err, segment.ErrRecord) {
		t.Errorf("IRI in a CC segment: %v", err)
	}
}

// The chain's values are part of what agencies keep: they never change.
func TestChainValues(t *testing.T) {
	t.Parallel()
	start := segment.ChainStart("LIID-1", 7)
	want := sha256.Sum256([]byte("ligate-chain/1\nLIID-1\x00\x00\x00\x00\x07"))
	if start != want {
		t.Errorf("start %x, want %x", start, want)
	}
	next := segment.ChainNext(start, 1, sha256.Sum256([]byte("c")), sha256.Sum256([]byte("p")))
	if got := hex.EncodeToString(next[:]); got != "f8285a50b2eeea5e8b7934cffa5da7a9ea08807431d54154c7bbf2d4838ca22e" {
		t.Errorf("next %s", got)
	}
	if next == segment.ChainNext(start, 2, sha256.Sum256([]byte("c")), sha256.Sum256([]byte("p"))) {
		t.Error("the number does not count")
	}
}

func FuzzDecode(f *testing.F) {
	for kind, records := range map[segment.Kind][]segment.Record{segment.KindIRI: iriRecords(), segment.KindCC: ccRecords()} {
		plain, _ := segment.Encode(header(kind), records)
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, records, err := segment.Decode(b)
		if err != nil {
			if records != nil {
				t.Fatal("an error came with records")
			}
			return
		}
		again, err := segment.Encode(h, records)
		if err != nil {
			t.Fatal(err)
		}
		h2, records2, err := segment.Decode(again)
		if err != nil || len(records2) != len(records) || h2.Segment != h.Segment {
			t.Fatal("round trip differs")
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	plain := make([]byte, 100<<10)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		if _, err := segment.Seal([]age.Recipient{id.Recipient()}, plain); err != nil {
			b.Fatal(err)
		}
	}
}
