package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// verdicts of RFC 4475 for a proxy: 0 = take it, -1 = drop it, else the answer.
// Rules that need more than the message itself (416, 420, 483) stand in sipproxy.
func verdicts() map[string]int {
	return map[string]int{
		"badinv01": -1, "clerr": 400, "ncl": 400, "quotbal": 400, "ltgtruri": 400, "lwsruri": 400, "badaspec": 400,
		"baddn": 400, "mismatch01": 400, "mismatch02": 400, "scalar02": 400, "scalarlg": -1, "bigcode": -1,
		"badvers": 505, "lwsstart": 400, "trws": 400, "insuf": 400, "multi01": 400, "mcl01": 400,
	}
}

func corpus(tb testing.TB, folder string) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.dat"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("corpus %s: %d files, %v", folder, len(files), err)
	}
	messages := map[string][]byte{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		messages[strings.TrimSuffix(filepath.Base(name), ".dat")] = b
	}
	return messages
}

// asSent makes wire form of an RFC 5118 file, see the corpus's README.
func asSent(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
	if !bytes.Contains(b, []byte("\r\n\r\n")) {
		b = append(b, "\r\n"...)
	}
	return b
}

func verdict(b []byte) int {
	_, err := wire.Parse(b)
	var fault *wire.Fault
	switch {
	case errors.As(err, &fault):
		return fault.Status
	case err != nil:
		return -1
	}
	return 0
}

func TestTortureMessages(t *testing.T) {
	t.Parallel()
	want := verdicts()
	for name, b := range corpus(t, "messages") {
		if got := verdict(b); got != want[name] && name != "test" {
			t.Errorf("%s: got %d, want %d", name, got, want[name])
		}
	}
}

func TestTortureMessagesOfIPv6(t *testing.T) {
	t.Parallel()
	for name, b := range corpus(t, "rfc5118") {
		want := 0
		if name == "ipv6-bad" {
			want = 400 // no brackets around the address
		}
		b = asSent(b)
		if name == "ipv6-in-sdp" { // CRLF made the body longer than it declares, see the README
			_, body, _ := bytes.Cut(b, []byte("\r\n\r\n"))
			b = bytes.Replace(b, []byte("Content-Length: 268"), fmt.Appendf(nil, "Content-Length: %d", len(body)), 1)
		}
		if got := verdict(b); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}

func TestUnfoldedPartsOfTortureMessage(t *testing.T) {
	t.Parallel()
	m, err := wire.Parse(corpus(t, "messages")["wsinv"])
	if err != nil {
		t.Fatal(err)
	}
	if m.To.Tag != "1918181833n" || m.From.Tag != "98asjd8" || m.Sequence != 9 || m.MaxForwards != 68 {
		t.Errorf("tags %q %q, sequence %d, max forwards %d", m.To.Tag, m.From.Tag, m.Sequence, m.MaxForwards)
	}
	if v := m.TopVia; v.Transport != "UDP" || v.Host != "192.0.2.2" || v.Branch != "390skdjuw" {
		t.Errorf("via %+v", v)
	}
	var hosts []string
	for e := range m.Elements(wire.Via) {
		v, ok := wire.ParseVia(m.Raw, e)
		if !ok {
			t.Fatal("via not read")
		}
		hosts = append(hosts, v.Transport+" "+v.Host+" "+v.Branch)
	}
	if got, want := strings.Join(hosts, ","), "UDP 192.0.2.2 390skdjuw,TCP spindle.example.com z9hG4bK9ikj8,UDP 192.168.255.111 z9hG4bK30239"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStreamHoldsBothMessages(t *testing.T) {
	t.Parallel()
	b := corpus(t, "messages")["dblreq"]
	n, err := wire.FrameLength(b)
	if err != nil || n == 0 {
		t.Fatalf("first: %d, %v", n, err)
	}
	rest := bytes.TrimLeft(b[n:], "\r\n")
	m, err := wire.FrameLength(rest)
	if err != nil || m == 0 {
		t.Fatalf("second: %d, %v", m, err)
	}
	second, err := wire.Parse(rest[:m])
	if err != nil || second.Method != "INVITE" {
		t.Errorf("second message: %v", err)
	}
	for _, name := range []string{"ncl", "mcl01"} {
		if _, err := wire.FrameLength(corpus(t, "messages")[name]); name == "ncl" && !errors.Is(err, wire.ErrFrame) {
			t.Errorf("%s: got %v, want ErrFrame", name, err)
		}
	}
}
