package sdp_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	pion "github.com/pion/sdp/v3"

	"github.com/ligate/ligate/intercept/sipproxy/sdp"
)

// at gives stream i the ports 20000+4i on the address.
func at(addr string, seen *[]sdp.Stream) func(sdp.Stream) (sdp.Anchor, bool) {
	return func(s sdp.Stream) (sdp.Anchor, bool) {
		*seen = append(*seen, s)
		a := netip.MustParseAddr(addr)
		port := uint16(20000 + 4*s.Index)
		return sdp.Anchor{RTP: netip.AddrPortFrom(a, port), RTCP: netip.AddrPortFrom(a, port+1)}, true
	}
}

func stream(i int, rtp, rtcp string) sdp.Stream {
	s := sdp.Stream{Index: i, Flows: true, RTP: netip.MustParseAddrPort(rtp)}
	if rtcp != "" {
		s.RTCP = netip.MustParseAddrPort(rtcp)
	}
	return s
}

func secure(s sdp.Stream, crypto ...string) sdp.Stream {
	s.Secure, s.Crypto = true, crypto
	return s
}

const head = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\n"

func TestRewrite(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body, addr, want string
		streams          []sdp.Stream
	}{
		"session address": {
			head + "c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=sendrecv\r\n", "192.0.2.1",
			"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8\r\na=sendrecv\r\n",
			[]sdp.Stream{stream(0, "10.0.0.1:4000", "")},
		},
		"media addresses, rtcp, rejected stream": {
			head + "t=0 0\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP4 10.0.0.2/127\r\na=rtcp:5001 IN IP4 10.0.0.3\r\nm=video 0 RTP/AVP 31\r\nm=audio 4002/1 RTP/SAVP 0\r\nc=IN IP4 10.0.0.4\r\na=rtcp:6001\r\na=crypto:1 x\r\n",
			"192.0.2.1",
			"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8\r\nc=IN IP4 192.0.2.1\r\na=rtcp:20001 IN IP4 192.0.2.1\r\nm=video 0 RTP/AVP 31\r\nm=audio 20008/1 RTP/SAVP 0\r\nc=IN IP4 192.0.2.1\r\na=rtcp:20009\r\na=crypto:1 x\r\n",
			[]sdp.Stream{stream(0, "10.0.0.2:4000", "10.0.0.3:5001"), secure(stream(2, "10.0.0.4:4002", "10.0.0.4:6001"), "1 x")},
		},
		"SRTP by DTLS, and a key without a secure profile": {
			head + "c=IN IP4 10.0.0.1\r\nm=audio 4000 UDP/TLS/RTP/SAVPF 8\r\na=fingerprint:sha-256 AA\r\nm=audio 4002 RTP/AVP 8\r\na=crypto:1 x\r\na=crypto:2 y\r\n", "192.0.2.1",
			"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 20000 UDP/TLS/RTP/SAVPF 8\r\na=fingerprint:sha-256 AA\r\nm=audio 20004 RTP/AVP 8\r\na=crypto:1 x\r\na=crypto:2 y\r\n",
			[]sdp.Stream{secure(stream(0, "10.0.0.1:4000", "")), {Index: 1, Flows: true, RTP: netip.MustParseAddrPort("10.0.0.1:4002"), Crypto: []string{"1 x", "2 y"}}},
		},
		"held": {
			head + "c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 8\r\n", "192.0.2.1",
			"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nm=audio 20000 RTP/AVP 8\r\n",
			[]sdp.Stream{{Index: 0, Held: true}},
		},
		"to IPv6, bare LF, fax": {
			"v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nm=image 4000 udptl t38\n", "2001:db8::1",
			"v=0\no=- 1 1 IN IP6 2001:db8::1\ns=-\nc=IN IP6 2001:db8::1\nm=image 20000 udptl t38\n",
			[]sdp.Stream{stream(0, "10.0.0.1:4000", "")},
		},
		"TCP stream keeps its address": {
			head + "c=IN IP4 10.0.0.1\r\nm=message 9 TCP/MSRP *\r\ni=chat\r\na=x\r\nm=audio 4000 RTP/AVP 8\r\n", "192.0.2.1",
			"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=message 9 TCP/MSRP *\r\ni=chat\r\nc=IN IP4 10.0.0.1\r\na=x\r\nm=audio 20004 RTP/AVP 8\r\n",
			[]sdp.Stream{stream(1, "10.0.0.1:4000", "")},
		},
		"ICE is taken out": {
			head + "c=IN IP4 10.0.0.1\r\na=ice-lite\r\nm=audio 4000 RTP/AVP 8\r\na=ice-ufrag:x\r\na=ice-pwd:y\r\na=candidate:1 1 UDP 1 10.0.0.1 4000 typ host\r\na=rtcp-mux\r\na=fingerprint:sha-256 AA\r\n", "192.0.2.1",
			"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 20000 RTP/AVP 8\r\na=rtcp-mux\r\na=fingerprint:sha-256 AA\r\n",
			[]sdp.Stream{stream(0, "10.0.0.1:4000", "")},
		},
		"host name": {
			head + "c=IN IP4 phone.example\r\nm=audio 4000 RTP/AVP 8\r\n", "192.0.2.1",
			"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 20000 RTP/AVP 8\r\nc=IN IP4 192.0.2.1\r\n",
			[]sdp.Stream{{Index: 0, Flows: true}},
		},
		"nothing to anchor": {head + "c=IN IP4 10.0.0.1\r\nt=0 0\r\n", "192.0.2.1", head + "c=IN IP4 10.0.0.1\r\nt=0 0\r\n", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var streams []sdp.Stream
			got, err := sdp.Rewrite([]byte(tt.body), at(tt.addr, &streams))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.streams, streams, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Errorf("streams (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRewriteRefuses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty line before":   "\r\nv=0\r\n",
		"no version":          "o=- 1 1 IN IP4 10.0.0.1\r\n",
		"no address":          "v=0\r\nm=audio 4000 RTP/AVP 8\r\n",
		"port too high":       head + "c=IN IP4 10.0.0.1\r\nm=audio 70000 RTP/AVP 8\r\n",
		"not a line":          head + "nonsense\r\n",
		"too many":            head + "c=IN IP4 10.0.0.1\r\n" + strings.Repeat("m=audio 4000 RTP/AVP 8\r\n", sdp.MaxMedia+1),
		"rtcp without a port": head + "c=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\na=rtcp:x\r\n",
	} {
		var seen []sdp.Stream
		if got, err := sdp.Rewrite([]byte(body), at("192.0.2.1", &seen)); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestFindPart(t *testing.T) {
	t.Parallel()
	multi := "preamble\r\n--b 1\r\nContent-Type: application/isup;version=x\r\n\r\nxx--b 1xx\x00\r\n--b 1\r\ncontent-type : application/sdp\r\nContent-ID: 1\r\n\r\nv=0\r\n\r\n--b 1--\r\n"
	tests := map[string]struct {
		contentType, body, want string
		ok                      bool
	}{
		"plain":          {"application/sdp", "v=0\r\n", "v=0\r\n", true},
		"in any case":    {"Application/SDP ;charset=x", "v=0\r\n", "v=0\r\n", true},
		"part":           {"multipart/mixed;\r\n boundary=\"b 1\"", multi, "v=0\r\n", true},
		"empty":          {"application/sdp", "", "", false},
		"other":          {"application/isup", "v=0\r\n", "", false},
		"no boundary":    {"multipart/mixed", multi, "", false},
		"other boundary": {"multipart/mixed;boundary=c", multi, "", false},
		"not closed":     {"multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n", "", false},
	}
	for name, tt := range tests {
		span, ok := sdp.FindPart(tt.contentType, []byte(tt.body))
		if got := tt.body[span.Start:span.End]; ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: got %q, %v; want %q, %v", name, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add([]byte(head+"c=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=rtcp:5001 IN IP4 10.0.0.3\r\n"), "2001:db8::1")
	f.Add([]byte(head+"t=0 0\r\nm=audio 4000/2 RTP/AVP 8\r\nc=IN IP6 ::1\r\na=candidate:1\r\nm=image 0 udptl t38\r\nm=x 9 TCP/MSRP *\r\n"), "192.0.2.1")
	f.Fuzz(func(t *testing.T, body []byte, addr string) {
		same, err := sdp.Rewrite(body, func(sdp.Stream) (sdp.Anchor, bool) { return sdp.Anchor{}, false })
		if err == nil && string(same) != string(body) {
			t.Fatal("a description without anchors changed")
		}
		if a, err := netip.ParseAddr(addr); err != nil || a.Zone() != "" || a.IsUnspecified() {
			return
		}
		var streams, after []sdp.Stream
		out, err := sdp.Rewrite(body, at(addr, &streams))
		if err != nil {
			return
		}
		if _, err := sdp.Rewrite(out, at(addr, &after)); err != nil {
			t.Fatalf("the result does not parse: %v\n%q", err, out)
		}
		if len(after) != len(streams) {
			t.Fatalf("%d streams became %d", len(streams), len(after))
		}
		for i, s := range after {
			if s.Held != streams[i].Held || !s.Held && s.RTP.Port() != uint16(20000+4*s.Index) {
				t.Fatalf("stream %d came back as %+v", i, s)
			}
			if !s.Held && s.RTP.Addr() != netip.MustParseAddr(addr).Unmap() {
				t.Fatalf("stream %d is at another address", i)
			}
		}
		var before, then pion.SessionDescription
		if before.Unmarshal(body) == nil {
			if err := then.Unmarshal(out); err != nil {
				t.Fatalf("an independent parser took the original but not the result: %s", strconv.Quote(string(out)))
			}
		}
	})
}

// Which way media is wanted: a stream's own attribute, else the session's, else both
// ways (RFC 3264 clause 5.1).
func TestFlow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		session, media string
		want           bool
	}{
		"nothing said":           {"", "", true},
		"sendrecv":               {"", "a=sendrecv\r\n", true},
		"sendonly":               {"", "a=sendonly\r\n", false},
		"recvonly":               {"", "a=recvonly\r\n", false},
		"inactive":               {"", "a=inactive\r\n", false},
		"session inactive":       {"a=inactive\r\n", "", false},
		"stream over session":    {"a=inactive\r\n", "a=sendrecv\r\n", true},
		"stream holds by itself": {"a=sendrecv\r\n", "a=sendonly\r\n", false},
	} {
		body := "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n" + c.session + "m=audio 4000 RTP/AVP 8\r\n" + c.media
		got := !c.want
		_, err := sdp.Rewrite([]byte(body), func(s sdp.Stream) (sdp.Anchor, bool) { got = s.Flows; return sdp.Anchor{}, false })
		if err != nil || got != c.want {
			t.Errorf("%s: flows %t, %v", name, got, err)
		}
	}
}

// A second c= line of a section would show an address past the relay.
func TestFurtherConnectionLinesGo(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"of a stream":    "v=0\r\no=- 1 1 IN IP4 10.1.1.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP4 203.0.113.9\r\nc=IN IP4 203.0.113.9\r\n",
		"of the session": "v=0\r\no=- 1 1 IN IP4 10.1.1.1\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
	} {
		out, err := sdp.Rewrite([]byte(body), func(sdp.Stream) (sdp.Anchor, bool) {
			return sdp.Anchor{RTP: netip.MustParseAddrPort("198.51.100.1:30000"), RTCP: netip.MustParseAddrPort("198.51.100.1:30001")}, true
		})
		if err != nil || strings.Contains(string(out), "203.0.113.9") || strings.Count(string(out), "c=IN IP4 198.51.100.1") != 1 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
