package sipproxy_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/sipproxy"
)

// freePort finds a UDP port that sipp may take.
func freePort(t *testing.T, ip string) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Debian's sipp as caller and called party, 300 calls with its built-in scenarios.
func TestCallsOfSipp(t *testing.T) {
	t.Parallel()
	sipp, err := exec.LookPath("sipp")
	if err != nil {
		t.Skip("sipp is not installed: apt-get install sip-tester")
	}
	const calls = 300
	uas := freePort(t, "127.0.0.40")
	w := newWorld(t, 0, func(c *sipproxy.Config) {
		c.Timers.T1 = 4 * time.Second // a busy machine is no lost message
		c.Peers[0].Sources = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/27")}
		c.Peers = append(c.Peers, sipproxy.Peer{Name: "trunk", Role: sipproxy.RoleTrunk, Addr: uas})
	})
	w.tap(outside, false)
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, sipp, "-sn", "uas", "-i", "127.0.0.40", "-p", fmt.Sprint(uas.Port()), "-nostdin")
	server.Dir = dir
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	log := filepath.Join(dir, "errors")
	client := exec.CommandContext(ctx, sipp, "-sn", "uac", "-i", "127.0.0.20", "-s", outside, "-m", fmt.Sprint(calls), "-r", "100", "-d", "50",
		"-nostdin", "-trace_err", "-error_file", log, w.proxy.String())
	client.Dir = dir
	if out, err := client.CombinedOutput(); err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("sipp: %v\n%s\n%.2000s", err, tail(out), text)
	}
	w.wantSessions(0, calls)
	pdus, _ := w.copies.await(t, calls*6)
	sequences := map[uint64]int{}
	for _, p := range pdus {
		sequences[p.Correlation]++
	}
	if len(sequences) != calls {
		t.Errorf("%d calls were copied, want %d", len(sequences), calls)
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-1500):] }
