package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// A call goes into capture files, sealed to the agency; Wireshark reads them, and the
// capture of the pulled session, without a lost packet and with the right codec.
func TestCallIsDroppedAsCaptures(t *testing.T) {
	st := newStory(t)
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := st.deliver(t.Context(), map[string]any{"file_drop": true}); err != nil {
		t.Fatal(err)
	}
	st.order(t, "DROP", aliceNumber)
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	h, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech().Seconds(2), far)
	if err != nil || h.Status != http.StatusOK {
		t.Fatalf("call: %+v, %v", h, err)
	}
	st.awaitEnded(t, "DROP", 1)
	iri, cc := count(st.pull(t, "DROP")["1"])
	folder := st.path("operator", "drop", st.agencyID)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if files, _ := filepath.Glob(filepath.Join(folder, "*.pcapng.age")); len(files) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no capture file")
		}
	}
	dropped := st.openDrop(t, folder)
	pulled, err := filepath.Glob(st.path("agency", "opened", "*", "1", "call.pcapng"))
	if err != nil || len(pulled) != 1 {
		t.Fatalf("opened %v, %v", pulled, err)
	}
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed; make test installs it")
	}
	for _, file := range []string{dropped, pulled[0]} {
		out, err := exec.Command(tshark, "-r", file, "-q", "-z", "rtp,streams").Output() // SDP tells where RTP is
		if err != nil {
			t.Fatal(err)
		}
		streams := regexp.MustCompile(`(?m)^.*g711A\s+(\d+)\s+(-?\d+) \(([0-9.]+)%\)`).FindAllStringSubmatch(string(out), -1)
		packets := 0
		for _, s := range streams {
			n, err := strconv.Atoi(s[1])
			if err != nil {
				t.Fatal(err)
			}
			packets += n
			if s[2] != "0" || s[3] != "0.0" {
				t.Errorf("%s: %s of %s packets lost", filepath.Base(file), s[2], s[1])
			}
		}
		if len(streams) != 2 || packets != cc || packets != far+100 {
			t.Errorf("%s: %d streams, %d packets, want 2 and %d\n%s", filepath.Base(file), len(streams), packets, far+100, out)
		}
		sip, err := exec.Command(tshark, "-r", file, "-Y", "sip", "-T", "fields", "-e", "sip.CSeq").Output()
		if err != nil || strings.Count(string(sip), "\n") != iri {
			t.Errorf("%s: %d SIP messages, want %d, %v", filepath.Base(file), strings.Count(string(sip), "\n"), iri, err)
		}
	}
}

// openDrop opens the only file of a folder as the agency would.
func (st *story) openDrop(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v; want one file", files, err)
	}
	sealed, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	ids, err := agency.Identities(st.path("agency", "keys"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := segment.Open(ids, sealed)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "drop.pcapng")
	if err := os.WriteFile(path, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
