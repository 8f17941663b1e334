package sipproxy_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
)

// At a high rate of calls, memory, goroutines and descriptors are after many calls what
// they were after few. The protocol's timers run ten times as fast, so that what they
// keep is given back within the test.
func TestSoak(t *testing.T) {
	if raceDetector {
		t.Skip("needs the rate; make test runs it without the race detector")
	}
	sipp := program(t, "sipp", "sip-tester")
	r, err := media.New(media.Config{
		AccessAddr: netip.MustParseAddr("127.0.0.54"), TrunkAddr: netip.MustParseAddr("127.0.0.55"),
		Ports: media.PortRange{Min: 42000, Max: 45999}, Quiet: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, r.Run)
	uas := freePort(t, "127.0.0.41")
	w := newWorld(t, 0, func(c *sipproxy.Config) {
		c.Relay, c.Timers = realRelay{r}, sipproxy.Timers{T1: 50 * time.Millisecond}
		c.Peers[0].Sources = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/27")}
		c.Peers = append(c.Peers, sipproxy.Peer{Name: "trunk", Role: sipproxy.RoleTrunk, Addr: uas})
	})
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, sipp, "-sn", "uas", "-i", "127.0.0.41", "-p", fmt.Sprint(uas.Port()), "-nostdin")
	server.Dir = dir
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
	load := func(calls int) (s state) {
		t.Helper()
		log := filepath.Join(dir, "errors")
		client := exec.CommandContext(ctx, sipp, "-sn", "uac", "-i", "127.0.0.21", "-s", outside, "-m", fmt.Sprint(calls), "-r", "400", "-d", "20",
			"-nostdin", "-trace_err", "-error_file", log, w.proxy.String())
		client.Dir = dir
		if out, err := client.CombinedOutput(); err != nil {
			text, _ := os.ReadFile(log)
			t.Fatalf("sipp: %v\n%s\n%.2000s", err, tail(out), text)
		}
		eventually(t, func() bool { return figure(t, w.ops, "transactions", "") == 0 && r.PortsInUse() == 0 },
			func() string { return "transactions or ports are kept" })
		return now(t)
	}
	before := load(1000)
	after := load(6000)
	t.Logf("after 1,000 calls %+v, after 7,000 %+v", before, after)
	if after.heap > before.heap+before.heap/4+1<<20 {
		t.Errorf("the heap grew from %d to %d octets", before.heap, after.heap)
	}
	if after.goroutines > before.goroutines || after.files > before.files {
		t.Errorf("goroutines %d to %d, descriptors %d to %d", before.goroutines, after.goroutines, before.files, after.files)
	}
}

// state is what a process holds.
type state struct {
	heap              uint64
	goroutines, files int
}

func now(t *testing.T) state {
	t.Helper()
	for range 3 { // what was freed late
		runtime.GC()
		time.Sleep(100 * time.Millisecond)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return state{heap: m.HeapAlloc, goroutines: runtime.NumGoroutine(), files: len(files)}
}
