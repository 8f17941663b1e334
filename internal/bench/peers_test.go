package bench_test

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/ligate/ligate/internal/bench"
)

func peers() bench.PeersConfig {
	return bench.PeersConfig{Config: short(), GatewayArgs: []string{gatewayArg}}
}

// installed skips a test where Debian's package is not there.
func installed(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (Debian's package %s; scripts/install-deps bench)", program, pkg)
	}
}

func TestRelayPeersCarryTheSame(t *testing.T) {
	installed(t, "rtpengine", "rtpengine-daemon")
	r, err := bench.RelayPeers(t.Context(), peers(), 10, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ours_lost", "rtpengine_lost", "direct_lost", "ours_copies_missing", "rtpengine_copies_missing"} {
		if v := value(t, r, name); v != 0 {
			t.Errorf("%s = %v, want 0", name, v)
		}
	}
	for _, name := range []string{"ours_copies", "rtpengine_copies", "ours_p50", "rtpengine_p99"} {
		if v := value(t, r, name); v <= 0 {
			t.Errorf("%s = %v, want more than 0", name, v)
		}
	}
}

func TestMissingPeerSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var missing *bench.MissingPeerError
	if _, err := bench.SIPPeers(t.Context(), peers(), 1, 1, 1); !errors.As(err, &missing) || missing.Package != "kamailio" {
		t.Errorf("%v", err)
	}
	if _, err := bench.RelayPeers(t.Context(), peers(), 10, 10, 1); !errors.As(err, &missing) || missing.Package != "rtpengine-daemon" {
		t.Errorf("%v", err)
	}
}

func TestPeersRefuseNoCalls(t *testing.T) {
	t.Parallel()
	_, errRelay := bench.RelayPeers(t.Context(), peers(), 0, 10, 1)
	_, errSIP := bench.SIPPeers(t.Context(), peers(), 0, 1, 1)
	_, errMemory := bench.MemoryPeers(t.Context(), peers(), 0, 0)
	if errRelay == nil || errSIP == nil || errMemory == nil {
		t.Errorf("nothing was measured without an error: %v, %v, %v", errRelay, errSIP, errMemory)
	}
}
