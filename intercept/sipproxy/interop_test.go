package sipproxy_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/li/x2x3"
)

// program finds a program of a Debian package, or skips the test.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: apt-get install --no-install-recommends %s (make test does)", name, pkg)
	}
	return path
}

// modules finds the folder of a program's modules.
func modules(t *testing.T, patterns ...string) string {
	t.Helper()
	for _, p := range patterns {
		if found, _ := filepath.Glob(p); len(found) > 0 {
			return found[0]
		}
	}
	t.Skipf("no modules at %q", patterns)
	return ""
}

// sipPort finds a port, and the one after it, that a program may take on an
// address: baresip wants the second for TLS.
func sipPort(t *testing.T, ip string) netip.AddrPort {
	t.Helper()
	for range 200 {
		at := netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(28000+2*rand.IntN(500)))
		if isFree(at) && isFree(netip.AddrPortFrom(at.Addr(), at.Port()+1)) {
			return at
		}
	}
	t.Fatal("no free port")
	return netip.AddrPort{}
}

func isFree(at netip.AddrPort) bool {
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return false
	}
	defer u.Close()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// child is a program that the test runs, in a folder of its own.
type child struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	done chan struct{} // closed once it ended
	err  error         // of Wait, once done is closed
}

// spawn starts a program. It ends with the test at the latest.
func spawn(t *testing.T, dir, path string, args ...string) *child {
	t.Helper()
	out, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c := &child{t: t, cmd: exec.Command(path, args...), dir: dir, done: make(chan struct{})}
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, out, out
	c.cmd.Env = append(os.Environ(), "TERM=dumb", "HOME="+dir)
	// If the test is killed, the program ends too: the kernel tells it when the thread
	// that started it is gone.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
		}
		close(c.done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return c
}

// stop asks the program to end, then makes it.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	if c.t.Failed() {
		faults, _ := os.ReadFile(filepath.Join(c.dir, "errors")) // sipp's
		c.t.Logf("%s said:\n%s\n%.3000s", filepath.Base(c.cmd.Path), tail([]byte(c.output())), faults)
	}
}

func (c *child) output() string {
	b, _ := os.ReadFile(filepath.Join(c.dir, "output"))
	return string(b)
}

// finish waits for a program that ends by itself.
func (c *child) finish(within time.Duration) {
	c.t.Helper()
	select {
	case <-c.done:
		if c.err != nil {
			c.t.Fatalf("%s: %v", filepath.Base(c.cmd.Path), c.err)
		}
	case <-time.After(within):
		c.t.Fatalf("%s did not end", filepath.Base(c.cmd.Path))
	}
}

// scenario runs sipp with one of our scenarios.
func scenario(t *testing.T, sipp, name string, at netip.AddrPort, args ...string) *child {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("testdata", "sipp", name))
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-sf", file, "-i", at.Addr().String(), "-p", fmt.Sprint(at.Port()), "-nostdin", "-timeout", "40", "-timeout_error", "-trace_err", "-error_file", "errors"}, args...)
	return spawn(t, t.TempDir(), sipp, args...)
}

// kamailio runs a core in front of the proxy and waits until it answers.
func kamailio(t *testing.T, path string, at, gateway, subscriber netip.AddrPort) {
	t.Helper()
	cfg, err := os.ReadFile(filepath.Join("testdata", "kamailio", "core.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("MODULES", modules(t, "/usr/lib/*/kamailio/modules", "/usr/lib64/kamailio/modules"), "GATEWAYPORT", fmt.Sprint(gateway.Port()),
		"GATEWAY", gateway.String(), "SUBSCRIBER", subscriber.String(), "CORE", at.String()).Replace(string(cfg))
	dir := t.TempDir()
	file := filepath.Join(dir, "core.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	spawn(t, dir, path, "-DD", "-E", "-f", file, "-Y", dir, "-m", "64", "-M", "8")
	probe := newAgent(t, "127.0.0.1")
	ask := line{method: "OPTIONS", uri: "sip:" + at.String(), callID: "up", branch: "z9hG4bKup", seq: 1, from: "<sip:a@x>;tag=1", to: "<sip:b@x>"}
	eventually(t, func() bool {
		probe.send(at, probe.request(ask))
		m := probe.read(100 * time.Millisecond)
		return m != nil && m.Status == 200
	}, func() string { return "kamailio does not answer" })
}

// Two hundred calls each way between sipp behind kamailio, a stateful core that
// keeps itself in the route, and sipp as trunk: none fails, each is anchored, freed
// and copied.
func TestCallsThroughKamailio(t *testing.T) {
	t.Parallel()
	sipp, core := program(t, "sipp", "sip-tester"), program(t, "kamailio", "kamailio")
	const calls = 200
	for name, outgoing := range map[string]bool{"to the trunk": true, "from the trunk": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ips := []string{"127.0.0.41", "127.0.0.42", "127.0.0.43"}
			if !outgoing {
				ips = []string{"127.0.0.44", "127.0.0.45", "127.0.0.46"}
			}
			near, middle, far := sipPort(t, ips[0]), sipPort(t, ips[1]), sipPort(t, ips[2])
			w := newWorld(t, 0, func(c *sipproxy.Config) {
				c.Timers.T1 = 4 * time.Second // a busy machine is no lost message
				c.Peers[0].Addr = middle
				c.Peers = append(c.Peers, sipproxy.Peer{Name: "trunk", Role: sipproxy.RoleTrunk, Addr: far})
			})
			w.tap(outside, false)
			kamailio(t, core, middle, w.proxy, near)
			called, caller, first := far, near, middle
			keys := []string{"-key", "from", subscriber + "@example.com", "-key", "to", outside + "@example.net"}
			if !outgoing {
				called, caller, first = near, far, w.proxy
				keys = []string{"-key", "to", subscriber + "@example.com", "-key", "from", outside + "@example.net"}
			}
			scenario(t, sipp, "uas.xml", called)
			scenario(t, sipp, "uac.xml", caller, append(keys, "-m", fmt.Sprint(calls), "-r", "50", first.String())...).finish(40 * time.Second)
			w.wantSessions(0, calls)
			legs := map[uint64]int{}
			eventually(t, func() bool {
				clear(legs)
				for _, p := range w.copies.all() {
					legs[p.Correlation]++
				}
				return len(legs) == calls
			}, func() string { return fmt.Sprintf("%d calls were copied, want %d", len(legs), calls) })
		})
	}
}

// phone is a baresip that plays a tone, and dumps what it hears.
type phone struct {
	user, domain string
	at           netip.AddrPort
	tone         float64 // Hz
	dir          string
}

const sampleRate = 8000

// config writes baresip's folder.
func (p *phone) config(t *testing.T, proxy netip.AddrPort) {
	t.Helper()
	p.dir = t.TempDir()
	files := map[string]string{
		"config": strings.NewReplacer("DIR", p.dir, "SIP", p.at.String(), "IP", p.at.Addr().String(), "MODULES", modules(t, "/usr/lib/baresip/modules", "/usr/lib/*/baresip/modules")).
			Replace("poll_method epoll\nsip_listen SIP\nnet_interface IP\nrtp_ports 42900-42999\n" +
				"audio_source aufile,DIR/tone.wav\naudio_player aubridge,x\naudio_alert aubridge,x\nausrc_srate 8000\nauplay_srate 8000\n" +
				"module_path MODULES\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\nsnd_path DIR\n" +
				"module_tmp account.so\nmodule_app menu.so\n"),
		"accounts": fmt.Sprintf("<sip:%s@%s;transport=udp>;regint=0;answermode=auto;audio_codecs=pcma;outbound=\"sip:%s;transport=udp\"\n", p.user, p.domain, proxy),
		"contacts": "",
		"tone.wav": string(wav(p.tone, 30)),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// wav is a tone as a RIFF file: mono, 16 bits.
func wav(hz float64, seconds int) []byte {
	n := seconds * sampleRate
	b := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(36+2*n))...)
	b = append(b, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	b = binary.LittleEndian.AppendUint32(b, sampleRate)
	b = binary.LittleEndian.AppendUint32(b, 2*sampleRate)
	b = append(b, "\x02\x00\x10\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*n))
	for i := range n {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(8000*math.Sin(2*math.Pi*hz*float64(i)/sampleRate))))
	}
	return b
}

// heard is what the phone dumped of the far side.
func (p *phone) heard(t *testing.T) []int16 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.dir, "dump-*-dec.wav"))
	if err != nil || len(files) != 1 {
		t.Fatalf("dumps: %q, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	_, data, ok := bytes.Cut(b, []byte("data"))
	if !ok || len(data) < 4 {
		t.Fatal("not a WAV")
	}
	var samples []int16
	for data = data[4:]; len(data) >= 2; data = data[2:] {
		samples = append(samples, int16(binary.LittleEndian.Uint16(data)))
	}
	return samples
}

// loudness is the mean amplitude of a tone, frame by frame of 20 ms (Goertzel).
func loudness(samples []int16, hz float64) float64 {
	const frame = sampleRate / 50
	sum, frames := 0.0, 0
	for ; len(samples) >= frame; samples = samples[frame:] {
		re, im := 0.0, 0.0
		for i, s := range samples[:frame] {
			w := 2 * math.Pi * hz * float64(i) / sampleRate
			re, im = re+float64(s)*math.Cos(w), im+float64(s)*math.Sin(w)
		}
		sum += 2 * math.Hypot(re, im) / frame
		frames++
	}
	return sum / math.Max(float64(frames), 1)
}

// Two baresip phones talk through the proxy and the relay: each hears the other's
// tone and not its own, and the tee gets both directions.
func TestPhonesOfBaresipHearEachOther(t *testing.T) {
	t.Parallel()
	path := program(t, "baresip", "baresip-core")
	r, err := media.New(media.Config{
		AccessAddr: netip.MustParseAddr("127.0.0.52"), TrunkAddr: netip.MustParseAddr("127.0.0.53"), Ports: media.PortRange{Min: 42000, Max: 42899},
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, r.Run)
	<-r.Ready()
	alice := &phone{user: subscriber, domain: "example.com", at: sipPort(t, "127.0.0.1"), tone: 400}
	bob := &phone{user: outside, domain: "example.net", at: sipPort(t, "127.0.0.1"), tone: 1000}
	w := newWorld(t, 0, func(c *sipproxy.Config) {
		c.Relay = realRelay{r}
		c.Peers[0].Addr = alice.at
		c.Peers = append(c.Peers, sipproxy.Peer{Name: "trunk", Role: sipproxy.RoleTrunk, Addr: bob.at})
	})
	w.tap(subscriber, true)
	alice.config(t, w.proxy)
	bob.config(t, w.proxy)
	called := spawn(t, bob.dir, path, "-f", bob.dir)
	eventually(t, func() bool { return strings.Contains(called.output(), "baresip is ready") }, func() string { return "baresip does not start" })
	const seconds = 4
	spawn(t, alice.dir, path, "-f", alice.dir, "-t", fmt.Sprint(seconds), "-e", "/dial sip:"+outside+"@example.net").finish(30 * time.Second)
	eventually(t, func() bool { return r.Sessions() == 0 && strings.Contains(called.output(), "terminated") }, func() string { return "the call did not end" })
	called.stop()
	for name, ends := range map[string][2]*phone{"the caller": {alice, bob}, "the called": {bob, alice}} {
		got := ends[0].heard(t)
		other, own := loudness(got, ends[1].tone), loudness(got, ends[0].tone)
		if len(got) < (seconds-2)*sampleRate || other < 4000 || own > other/10 {
			t.Errorf("%s heard %d samples, the other's tone at %.0f, its own at %.0f", name, len(got), other, own)
		}
	}
	copied := map[x2x3.Direction]int{}
	for _, p := range w.copies.all() {
		if p.Type == x2x3.X3 {
			copied[p.Direction]++
		}
	}
	if want := (seconds - 2) * 50; copied[x2x3.FromTarget] < want || copied[x2x3.ToTarget] < want {
		t.Errorf("copied packets: %v, want %d each way at least", copied, want)
	}
}
