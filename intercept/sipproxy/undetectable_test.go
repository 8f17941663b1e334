package sipproxy_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// The delay that a call sees tells nothing of a tap: over many interleaved calls of
// three subscribers, one of them tapped, the distribution of the tapped one's
// signalling and media delays is no further from an untapped one's than two
// untapped ones are from each other, or than chance explains (two-sample
// Kolmogorov-Smirnov). That the test can fail is shown with an artificial delay.
func TestDelaysTellNothing(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes 1500 calls, and says nothing under the race detector; make test runs it without")
	}
	const attempts = 3 // other work on the machine can disturb one
	for i := range attempts {
		faults := tellTales(measureDelays(t, 500, 0))
		if len(faults) == 0 {
			break
		}
		t.Log(faults)
		if i == attempts-1 {
			t.Error("tapped calls can be told from untapped ones")
		}
	}
	for kind, slow := range measureDelays(t, 60, time.Millisecond) {
		if got, limit := distance(slow[0], slow[2]), max(distance(slow[0], slow[1]), chance(len(slow[0]))); got <= limit {
			t.Errorf("%s: a delay of 1 ms on tapped calls is not seen: %.3f, limit %.3f", kind, got, limit)
		}
	}
}

// tellTales names the delays that are further apart between tapped and untapped
// calls than between two groups of untapped ones, and than chance explains.
func tellTales(delays map[string][3][]time.Duration) []string {
	var faults []string
	for kind, d := range delays {
		untapped, tapped, by := distance(d[0], d[1]), distance(d[0], d[2]), chance(len(d[0]))
		if tapped > max(untapped, by) {
			faults = append(faults, fmt.Sprintf("%s: tapped and untapped are %.3f apart, untapped and untapped %.3f, chance explains %.3f", kind, tapped, untapped, by))
		}
	}
	return faults
}

// chance is the distance that two samples of n from one distribution exceed once in
// a thousand runs.
func chance(n int) float64 { return 1.95 * math.Sqrt(2/float64(n)) }

// distance is the two-sample Kolmogorov-Smirnov statistic.
func distance(a, b []time.Duration) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	most, i, j := 0.0, 0, 0
	for i < len(a) && j < len(b) {
		at := min(a[i], b[j])
		for i < len(a) && a[i] == at {
			i++
		}
		for j < len(b) && b[j] == at {
			j++
		}
		most = max(most, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return most
}

// measureDelays places n calls of each of three subscribers in turn, the last of
// them tapped, and returns how long INVITEs and RTP packets took through.
func measureDelays(t *testing.T, n int, delay time.Duration) map[string][3][]time.Duration {
	t.Helper()
	r, err := media.New(media.Config{
		AccessAddr: netip.MustParseAddr("127.0.0.50"), TrunkAddr: netip.MustParseAddr("127.0.0.51"),
		Ports: media.PortRange{Min: 27000, Max: 27999}, Quiet: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := background(t, r.Run)
	defer stop()
	<-r.Ready()
	w := newWorld(t, 1, func(c *sipproxy.Config) { c.Relay = realRelay{r} })
	defer w.stop()
	const tapped = "+4930555003"
	w.tap(tapped, true)
	near, far := newAgent(t, "127.0.0.62"), newAgent(t, "127.0.0.63")
	far.stamp()
	w.trunks[0].stamp()
	signalling, through := [3][]time.Duration{}, [3][]time.Duration{}
	for i := range n {
		for _, who := range rand.Perm(3) {
			number := fmt.Sprintf("+493055500%d", who+1)
			late := time.Duration(0)
			if number == tapped {
				late = delay
			}
			s, m := w.timedCall(fmt.Sprintf("t%d-%d", i, who), number, late, near, far)
			signalling[who], through[who] = append(signalling[who], s), append(through[who], m...)
		}
	}
	eventually(t, func() bool { return len(w.copies.all()) >= 8*n }, func() string { return "the third subscriber was not tapped" })
	return map[string][3][]time.Duration{"signalling": signalling, "media": through}
}

// timedCall carries one call with three RTP packets; each is late by so much.
func (w *world) timedCall(id, number string, late time.Duration, near, far *agent) (signalling time.Duration, through []time.Duration) {
	w.t.Helper()
	describe := func(a *agent) string {
		return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP 8\r\n", a.addr.Addr(), a.addr.Port())
	}
	inv := outgoing(id)
	inv.from = strings.Replace(inv.from, subscriber, number, 1)
	inv.body = describe(near)
	msg := w.core.request(inv)
	start := time.Now().Round(0)
	time.Sleep(late)
	w.core.send(w.proxy, msg)
	raw, at := w.trunks[0].stamped()
	signalling = at.Sub(start)
	req, err := wire.Parse(raw)
	if err != nil || req.Method != "INVITE" {
		w.t.Fatalf("not the INVITE: %v", err)
	}
	w.trunks[0].reply(w.proxy, req, 200, "b", "", describe(far))
	ok := w.core.want("SIP/2.0 200")
	w.core.send(w.proxy, w.core.request(within("ACK", inv, ok, 1)))
	w.trunks[0].want("ACK")
	t, isTest := w.t.(*testing.T)
	if !isTest {
		w.t.Fatal("a benchmark has no timed calls")
	}
	anchor := audioAddr(t, ok.BodyBytes())
	for k := range 3 {
		packet := fmt.Sprintf("\x80\x08\x00%c12345678%0160d", byte(k+1), k)
		start := time.Now().Round(0)
		time.Sleep(late)
		near.send(anchor, packet)
		got, at := far.stamped()
		if string(got) != packet {
			w.t.Fatal("another packet came")
		}
		through = append(through, at.Sub(start))
	}
	w.core.send(w.proxy, w.core.request(within("BYE", inv, ok, 2)))
	bye := w.trunks[0].want("BYE")
	w.trunks[0].reply(w.proxy, bye, 200, "b", "", "")
	w.core.want("SIP/2.0 200")
	return signalling, through
}

// stamp makes the kernel note when datagrams arrive. Reading the clock after the
// read would measure how this process shares its cores with the proxy.
func (a *agent) stamp() {
	a.t.Helper()
	raw, err := a.conn.SyscallConn()
	if err != nil {
		a.t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) }); err != nil || failed != nil {
		a.t.Fatal(err, failed)
	}
}

// stamped returns the next datagram and when it arrived.
func (a *agent) stamped() ([]byte, time.Time) {
	a.t.Helper()
	oob := make([]byte, 128)
	_ = a.conn.SetReadDeadline(time.Now().Add(patience))
	n, m, _, _, err := a.conn.ReadMsgUDPAddrPort(a.buf, oob)
	if err != nil {
		a.t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:m])
	if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 {
		a.t.Fatalf("no time stamp: %v", err)
	}
	sec, nsec := binary.NativeEndian.Uint64(messages[0].Data), binary.NativeEndian.Uint64(messages[0].Data[8:])
	return bytes.Clone(a.buf[:n]), time.Unix(int64(sec), int64(nsec))
}
