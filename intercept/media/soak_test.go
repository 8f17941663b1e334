package media_test

import (
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/media"
)

// A hundred thousand short calls, some with packets on the wire while they end, leave
// no port, descriptor or goroutine behind.
func TestShortCallsLeaveNothing(t *testing.T) {
	calls := 100_000
	if raceDetector {
		calls = 3_000
	}
	r := start(t, media.Config{Ports: media.PortRange{Min: 32000, Max: 32255}, Quiet: time.Microsecond})
	a, b := newPhone(t, "127.0.0.1:0"), newPhone(t, "127.0.0.2:0")
	files, goroutines := descriptors(t), runtime.NumGoroutine()
	for i := range calls {
		s := openAll(t, r, 1)
		st, err := s.Stream(0)
		if err != nil {
			t.Fatal(err)
		}
		st.SetRemote(media.Access, a.addr(), netip.AddrPort{})
		st.SetRemote(media.Trunk, b.addr(), netip.AddrPort{})
		if i%10 == 0 {
			to, _ := st.Anchor(media.Access)
			a.send(to, rtp(1))
			if i%20 == 0 {
				if _, _, ok := b.hears(0); !ok {
					t.Fatalf("call %d: not relayed", i)
				}
			}
		}
		s.Close()
	}
	if n := r.PortsInUse(); n != 0 {
		t.Errorf("%d port pairs are gone", n)
	}
	openAll(t, r, 16).Close() // which needs sixteen pairs at once
	for end := time.Now().Add(5 * time.Second); descriptors(t) > files || runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d descriptors and %d goroutines, before the calls %d and %d", descriptors(t), runtime.NumGoroutine(), files, goroutines)
		}
	}
}

// descriptors counts what this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
