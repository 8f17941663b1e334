package x2x3_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

const streamPort = 50200

// capture is a pcap file of raw IPv4 packets, each a TCP segment with one PDU:
// Wireshark's dissector does not reassemble.
func capture(pdus ...[]byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint32(b, 4<<16|2) // version 2.4
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, 1<<16)
	b = le.AppendUint32(b, 101) // LINKTYPE_RAW
	sent := uint32(1)
	for i, pdu := range pdus {
		size := 40 + len(pdu)
		b = le.AppendUint32(le.AppendUint32(b, uint32(i)), 0)
		b = le.AppendUint32(le.AppendUint32(b, uint32(size)), uint32(size))
		be := binary.BigEndian
		b = be.AppendUint16(append(b, 0x45, 0), uint16(size))
		b = append(b, 0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1)
		b = be.AppendUint16(be.AppendUint16(b, 40000), streamPort)
		b = be.AppendUint32(be.AppendUint32(b, sent), 1)
		b = append(b, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0)
		b = append(b, pdu...)
		sent += uint32(len(pdu))
	}
	return b
}

// tshark prints one line a packet. Of a field that stands in it twice (IP within
// IP) it gives the last.
func tshark(t *testing.T, file string, fields ...string) string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed; make test installs it")
	}
	args := []string{
		"-n", "-r", file, "-d", "tcp.port==50200,5gli", "-d", "udp.port==4002,rtp",
		"-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "separator=|", "-E", "occurrence=l",
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, faults.String())
	}
	return string(out)
}

// An independent decoder reads what we write, down to the SIP message and the
// media datagram with its checksums.
func TestTsharkReadsOurStream(t *testing.T) {
	t.Parallel()
	xid, err := li.ParseXID("123e4567-e89b-42d3-a456-426614174000")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 123_456_000)
	sip := x2x3.PDU{
		Type: x2x3.X2, Format: x2x3.FormatSIP, Direction: x2x3.FromTarget, XID: xid, Correlation: 0x1122334455667788,
		Sequence: 7, HasSequence: true, Time: at, NFID: "gw-1",
		Src: netip.MustParseAddrPort("192.0.2.1:5060"), Dst: netip.MustParseAddrPort("[2001:db8::2]:5061"), Event: []byte{1, 0, 0},
		Payload: []byte("INVITE sip:b@example.com SIP/2.0\r\nCall-ID: call-of-the-test\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"),
	}
	rtp := append([]byte{0x80, 8, 0, 1, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef}, bytes.Repeat([]byte{0xd5}, 160)...)
	media := x2x3.PDU{Type: x2x3.X3, Direction: x2x3.ToTarget, XID: xid, Correlation: 9, Sequence: 1, HasSequence: true, Time: at, NFID: "gw-1"}
	media6 := media
	for _, m := range []struct {
		pdu      *x2x3.PDU
		from, to string
	}{{&media, "192.0.2.9:4000", "192.0.2.10:4002"}, {&media6, "[2001:db8::9]:4000", "[2001:db8::10]:4002"}} {
		m.pdu.Payload, m.pdu.Format, err = x2x3.AppendDatagram(nil, netip.MustParseAddrPort(m.from), netip.MustParseAddrPort(m.to), rtp)
		if err != nil {
			t.Fatal(err)
		}
	}
	keepalive := x2x3.PDU{Type: x2x3.Keepalive, Sequence: 3, HasSequence: true}
	var stream [][]byte
	for _, p := range []*x2x3.PDU{&sip, &media, &media6, &keepalive} {
		b, err := x2x3.AppendPDU(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		stream = append(stream, b)
	}
	file := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(file, capture(stream...), 0o600); err != nil {
		t.Fatal(err)
	}

	const id, none = "123e4567-e89b-42d3-a456-426614174000", "00000000-0000-0000-0000-000000000000"
	const good = "1" // a checksum's status
	columns := []string{
		"li5g.ver", "li5g.type", "li5g.pf", "li5g.pd", "li5g.xid", "li5g.cid", "li5g.sq", "li5g.nfid",
		"li5g.srcip", "li5g.dstipv6", "li5g.srcport", "li5g.dstport", "sip.Method", "sip.Call-ID",
		"udp.srcport", "udp.dstport", "udp.checksum.status", "rtp.seq", "rtp.ssrc",
	}
	want := [][]string{
		{"5", "1", "9", "3", id, "1122334455667788", "7", "67772d31", "192.0.2.1", "2001:db8::2", "5060", "5061", "INVITE", "call-of-the-test", "", "", "", "", ""},
		{"5", "2", "5", "2", id, "0000000000000009", "1", "67772d31", "", "", "", "", "", "", "4000", "4002", good, "1", "0xdeadbeef"},
		{"5", "2", "6", "2", id, "0000000000000009", "1", "67772d31", "", "", "", "", "", "", "4000", "4002", good, "1", "0xdeadbeef"},
		{"5", "3", "0", "0", none, "0000000000000000", "3", "", "", "", "", "", "", "", "", "", "", "", ""},
	}
	if diff := cmp.Diff(want, rows(tshark(t, file, columns...))); diff != "" {
		t.Error(diff)
	}
	// The form of a time differs between releases.
	for i, row := range rows(tshark(t, file, "li5g.ts", "ip.src", "ipv6.dst", "ip.checksum.status")) {
		wantTime := i < 3
		if got := strings.Contains(row[0], "22:13:20.123456000"); got != wantTime {
			t.Errorf("PDU %d: time %q", i, row[0])
		}
		if i == 1 && (row[1] != "192.0.2.9" || row[3] != good) || i == 2 && row[2] != "2001:db8::10" {
			t.Errorf("PDU %d: packet inside %q", i, row)
		}
	}
}

func rows(out string) [][]string {
	var rows [][]string
	for line := range strings.Lines(out) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
	}
	return rows
}

// The independent decoder shows attributes 5 to 18 as they were meant, and takes the
// SIP message and the bare RTP packet apart.
func TestTsharkReadsEveryAttribute(t *testing.T) {
	t.Parallel()
	extra := &x2x3.Extra{
		TS1022321: []byte{1}, TS33128: []byte{2}, TS33108: []byte{3}, DID: "domain", IPID: "point", IPProtocol: 17,
		Matched: []string{"<sipUri>sip:a@b</sipUri>"}, Other: []string{"<e164Number>4930</e164Number>"}, MIMEType: "text/plain", MIMEEncoding: "8bit",
		Additional: []x2x3.AdditionalXID{{XID: li.XID{1}, Correlation: 2}}, SDP: []byte("v=0\r\n"),
	}
	sip := sample()
	sip.Src, sip.Dst, sip.Extra = netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("192.0.2.2:5061"), extra
	sip.Payload = []byte("BYE sip:b@example.com SIP/2.0\r\nCall-ID: call-of-the-test\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n")
	media := sample()
	media.Type, media.Format, media.Event, media.Extra = x2x3.X3, x2x3.FormatRTP, nil, extra
	media.Src, media.Dst = netip.MustParseAddrPort("[2001:db8::1]:4000"), netip.MustParseAddrPort("[2001:db8::2]:4002")
	media.Payload = append([]byte{0x80, 8, 0, 7, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef}, bytes.Repeat([]byte{0xd5}, 160)...)
	var stream [][]byte
	for _, p := range []*x2x3.PDU{&sip, &media} {
		b, err := x2x3.AppendPDU(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		stream = append(stream, b)
	}
	stream = append(stream, x2x3.AppendKeepaliveAck(nil, 9))
	file := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(file, capture(stream...), 0o600); err != nil {
		t.Fatal(err)
	}
	hex := func(s string) string { return fmt.Sprintf("%x", s) }
	columns := []string{
		"li5g.type", "li5g.hl", "li5g.pl", "li5g.did", "li5g.nfid", "li5g.ipid", "li5g.sq", "li5g.srcip", "li5g.dstip", "li5g.srcipv6", "li5g.dstipv6",
		"li5g.srcport", "li5g.dstport", "li5g.ipproto", "li5g.mti", "li5g.oti", "sip.Method", "rtp.seq", "rtp.ssrc",
	}
	length := func(b []byte, payload []byte) string { return strconv.Itoa(len(b) - len(payload)) }
	target, other := hex("<sipUri>sip:a@b</sipUri>"), hex("<e164Number>4930</e164Number>")
	want := [][]string{
		{"1", length(stream[0], sip.Payload), strconv.Itoa(len(sip.Payload)), hex("domain"), hex("gw-1"), hex("point"), "7", "192.0.2.1", "192.0.2.2", "", "", "5060", "5061", "17", target, other, "BYE", "", ""},
		{"2", length(stream[1], media.Payload), "172", hex("domain"), hex("gw-1"), hex("point"), "7", "", "", "2001:db8::1", "2001:db8::2", "4000", "4002", "17", target, other, "", "7", "0xdeadbeef"},
		{"4", "48", "0", "", "", "", "9", "", "", "", "", "", "", "", "", "", "", "", ""},
	}
	if diff := cmp.Diff(want, rows(tshark(t, file, columns...))); diff != "" {
		t.Error(diff)
	}
}
