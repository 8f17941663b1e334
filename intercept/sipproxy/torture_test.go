package sipproxy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// forwarded lists the RFC 4475 requests that a proxy must pass on; each goes to the
// trunk with nothing changed but what a proxy changes.
func forwarded() []string {
	return []string{
		"wsinv", "intmeth", "esc01", "escnull", "esc02", "lwsdisp", "longreq", "dblreq", "semiuri", "transports", "mpart01", "badbranch", "invut",
		"regaut01", "regescrt", "cparam01", "cparam02", "sdp01", "inv2543", "escruri", "baddate", "regbadct", "unksm2",
	}
}

func TestTortureMessagesPassUnaltered(t *testing.T) {
	t.Parallel()
	for _, name := range forwarded() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, func(c *sipproxy.Config) {
				c.Peers[0].Domains = nil
				c.Peers[0].Numbers = nil
				c.Peers[1].Domains = []string{"services.example.com", "example.com", "example.net", "chair-dnrc.example.com"}
			})
			raw, err := os.ReadFile(filepath.Join("wire", "testdata", "messages", name+".dat"))
			if err != nil {
				t.Fatal(err)
			}
			raw = bytes.Replace(raw, []byte("sip:127.0.0.1:5080"), []byte("sip:"+w.trunks[0].addr.String()), 1) // a Route of mpart01
			in, err := wire.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			w.core.send(w.proxy, string(raw))
			out := w.trunks[0].want(in.Method + " ")
			if !bytes.Equal(rest(in), rest(out)) {
				t.Errorf("more than a proxy may change:\n%s", out.Raw)
			}
		})
	}
}

// rest is a message without the parts that the proxy edits.
func rest(m *wire.Message) []byte {
	var b bytes.Buffer
	b.Write(m.Raw[:m.HeadersAt()])
	for _, f := range m.Fields {
		switch f.Header {
		case wire.Via, wire.RecordRoute, wire.MaxForwards, wire.ContentLength:
		default:
			b.Write(m.Raw[f.Line.Start:f.Line.End])
		}
	}
	for line := range bytes.Lines(m.BodyBytes()) {
		if !bytes.HasPrefix(line, []byte("c=")) && !bytes.HasPrefix(line, []byte("m=")) && !bytes.HasPrefix(line, []byte("o=")) {
			b.Write(line)
		}
	}
	return b.Bytes()
}

func TestProxyOutlivesEveryTortureMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for _, folder := range []string{"messages", "rfc5118"} {
		files, err := filepath.Glob(filepath.Join("wire", "testdata", folder, "*.dat"))
		if err != nil || len(files) < 10 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			w.core.send(w.proxy, string(raw))
			w.trunks[0].send(w.proxy, string(raw))
		}
	}
	drain(w.core)
	drain(w.trunks[0])
	w2 := outgoing("after")
	w.core.send(w.proxy, w.core.request(w2))
	for {
		m := w.trunks[0].read(patience)
		if m == nil {
			t.Fatal("the next plain call does not work")
		}
		if strings.HasPrefix(string(m.Raw), "INVITE ") && m.CallID == "after" {
			return
		}
	}
}
