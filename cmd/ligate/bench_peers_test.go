package main

import (
	"bytes"
	"strings"
	"testing"
)

// Without the programs to compare with, the package to install is named.
func TestBenchPeersNotInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for part, pkg := range map[string]string{"relay": "rtpengine-daemon", "capacity": "rtpengine-daemon", "sip": "kamailio", "memory": "kamailio"} {
		var out, errOut bytes.Buffer
		code := run(t.Context(), []string{"bench", "peers", part}, &out, &errOut)
		if code != exitUsage || out.Len() > 0 || !strings.Contains(errOut.String(), "apt-get install "+pkg) {
			t.Errorf("%s: exit %d, %q", part, code, errOut.String())
		}
	}
}
