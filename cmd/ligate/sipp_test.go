package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

const (
	sippCalls   = 50
	sippSeconds = 3
)

// Fifty calls at once, placed and answered by sipp through ligate run, all of
// targets: each arrives at the agency whole, in both directions, without one RTP
// packet lost, and each opens to a stereo WAV.
func TestSippFiftyCallsAtOnce(t *testing.T) {
	sipp, err := exec.LookPath("sipp")
	if err != nil {
		t.Skip("Debian's sip-tester is not installed; make test installs it")
	}
	st := newStory(t)
	yaml := st.path("operator", "ligate.yaml")
	b, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	// The subscribers of the first core are a range here.
	b = bytes.Replace(b, []byte(`numbers: ["`+aliceNumber+`"]`), []byte(`numbers: ["+49306660"]`), 1)
	if err := os.WriteFile(yaml, b, 0o600); err != nil {
		t.Fatal(err)
	}
	st.spawn(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	var targets []string
	numbers := "SEQUENTIAL\n"
	for i := range sippCalls {
		n := fmt.Sprintf("+49306660%03d", i)
		targets, numbers = append(targets, n), numbers+n+"\n"
	}
	st.order(t, "SIPP", targets...)

	speech := demo.SubscriberSpeech().Seconds(sippSeconds)
	write(t, st.path("speech.al"), speech)
	write(t, st.path("numbers.csv"), []byte(numbers))
	uac, err := os.ReadFile("testdata/sipp/uac.xml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, st.path("uac.xml"), bytes.ReplaceAll(uac, []byte("[audio]"), []byte(st.path("speech.al"))))
	uas, err := os.ReadFile("testdata/sipp/uas.xml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, st.path("uas.xml"), uas)

	far := st.sipp(t, sipp, st.world.ports.pstn, "-sf", "uas.xml", "-rtp_echo", "-mp", "24000")
	if err := far.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Process.Kill(); _ = far.Wait() })
	near := st.sipp(t, sipp, st.world.ports.alice, st.world.ports.sip, "-sf", "uac.xml", "-inf", "numbers.csv",
		"-m", fmt.Sprint(sippCalls), "-l", fmt.Sprint(sippCalls), "-r", fmt.Sprint(sippCalls), "-mp", "25000")
	if out, err := near.CombinedOutput(); err != nil {
		t.Fatalf("sipp: %v\n%s", err, out)
	}
	st.awaitEnded(t, "SIPP", sippCalls)
	sessions := st.pull(t, "SIPP")
	if len(sessions) != sippCalls {
		t.Fatalf("%d sessions, want %d", len(sessions), sippCalls)
	}
	for cin, records := range sessions {
		checkWhole(t, cin, records, len(speech)/demo.FrameSamples)
		opened := strings.Join([]string{st.path("agency", "opened"), "liid-SIPP", cin, open.FileAudio}, "/")
		wav, err := os.ReadFile(opened)
		if err != nil {
			t.Fatal(err)
		}
		left, right, err := channels(wav)
		if err != nil || !contains(left, speech) || !contains(right, speech) {
			t.Errorf("session %s: the WAV is not what was said on both sides (%v)", cin, err)
		}
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sipp runs in the test's folder on the address of a player.
func (st *story) sipp(t *testing.T, path, at string, args ...string) *exec.Cmd {
	t.Helper()
	addr := netip.MustParseAddrPort(at)
	ip := addr.Addr().String()
	cmd := exec.Command(path, append(args, "-i", ip, "-mi", ip, "-p", fmt.Sprint(addr.Port()), "-nostdin", "-timeout", "60", "-timeout_error")...)
	cmd.Dir = st.dir
	cmd.Env = append(os.Environ(), "TERM=dumb")
	return cmd
}

// checkWhole holds a session against what sipp sent: every RTP packet of both
// directions, numbered without a gap, and no gap record.
func checkWhole(t *testing.T, cin string, records []segment.Record, want int) {
	t.Helper()
	count := map[x2x3.Direction]int{}
	last := map[x2x3.Direction]uint16{}
	for _, r := range records {
		if r.Gap != nil {
			t.Errorf("session %s: a gap: %+v", cin, *r.Gap)
		}
		if r.CC == nil {
			continue
		}
		p := parseRTP(t, r.CC)
		if count[r.CC.Direction] > 0 && p.SequenceNumber != last[r.CC.Direction]+1 {
			t.Errorf("session %s: RTP %d follows %d", cin, p.SequenceNumber, last[r.CC.Direction])
		}
		last[r.CC.Direction] = p.SequenceNumber
		count[r.CC.Direction]++
	}
	if count[x2x3.FromTarget] != want || count[x2x3.ToTarget] != want {
		t.Errorf("session %s: %d packets from and %d to the target, want %d each", cin, count[x2x3.FromTarget], count[x2x3.ToTarget], want)
	}
}
