package sipproxy_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// passage is what a test knows of a message's way through the proxy.
type passage struct {
	proxy  netip.AddrPort // the proxy's socket
	src    netip.AddrPort // who sent the message
	anchor string         // the relay's address that the receiver must see; empty = the description stays
}

// altered tells what a proxy changed of a message that it had no need to change,
// empty for nothing. It computes octet for octet what must come out: the message
// as it was sent, the proxy's Via and Record-Route on top (their keyed hashes are
// taken from what came out), one hop less in Max-Forwards, the proxy's own Route
// values gone, the source in the sender's Via, the relay's addresses in the session
// description, Content-Length. It reads with plain string operations, not with
// package wire, so that a fault of that package shows.
func (p passage) altered(sent, got string) string {
	var want string
	if strings.HasPrefix(sent, "SIP/2.0 ") {
		want = p.response(sent)
	} else {
		want = p.request(sent, got)
	}
	return cmp.Diff(want, got)
}

// rawField is one header field with its folds, octets as they are.
type rawField struct{ name, line string }

// dissect cuts a message into start line, header fields and body.
func dissect(msg string) (start string, fields []rawField, body string) {
	head, body, _ := strings.Cut(msg, "\r\n\r\n")
	lines := strings.SplitAfter(head+"\r\n", "\r\n")
	for _, l := range lines[1 : len(lines)-1] {
		if l[0] == ' ' || l[0] == '\t' {
			fields[len(fields)-1].line += l
			continue
		}
		name, _, _ := strings.Cut(l, ":")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if long, ok := map[string]string{"v": "via", "l": "content-length", "c": "content-type", "e": "content-encoding"}[name]; ok {
			name = long
		}
		fields = append(fields, rawField{name, l})
	}
	for _, f := range fields {
		if n, err := strconv.Atoi(f.value()); f.name == "content-length" && err == nil && n < len(body) {
			body = body[:n] // what follows in the datagram is no part of the message
		}
	}
	return lines[0], fields, body
}

func (f rawField) value() string {
	_, v, _ := strings.Cut(f.line, ":")
	return strings.Trim(v, " \t\r\n")
}

// with returns the line with another value and the same white space around it.
func (f rawField) with(value string) string {
	name, rest, _ := strings.Cut(f.line, ":")
	old := f.value()
	at := strings.Index(rest, old)
	return name + ":" + rest[:at] + value + rest[at+len(old):]
}

func (p passage) request(sent, got string) string {
	start, fields, body := dissect(sent)
	method, _, _ := strings.Cut(start, " ")
	out, content := p.body(fields, body, method)
	var b strings.Builder
	b.WriteString(start)
	branch := regexp.MustCompile(`branch=z9hG4bKlg[0-9a-f]{48}`).FindString(got)
	fmt.Fprintf(&b, "Via: SIP/2.0/UDP %s;%s\r\n", p.proxy, branch)
	switch method {
	case "INVITE", "SUBSCRIBE", "REFER", "NOTIFY", "UPDATE": // what may open a dialog or refresh its target
		cookie := regexp.MustCompile(`;lg=[0-9a-f]{52}`).FindString(got)
		fmt.Fprintf(&b, "Record-Route: <sip:%s;lr%s>\r\n", p.proxy, cookie)
	}
	if !has(fields, "max-forwards") {
		b.WriteString("Max-Forwards: 70\r\n")
	}
	stamped := false
	for _, f := range fields {
		switch {
		case f.name == "via" && !stamped:
			b.WriteString(p.stamp(f))
			stamped = true
		case f.name == "max-forwards":
			n, _ := strconv.Atoi(f.value())
			b.WriteString(f.with(strconv.Itoa(n - 1)))
		case f.name == "route":
			b.WriteString(p.unrouted(f))
		case f.name == "content-length":
			b.WriteString(f.length(content))
		default:
			b.WriteString(f.line)
		}
	}
	return b.String() + "\r\n" + out
}

func (p passage) response(sent string) string {
	start, fields, body := dissect(sent)
	method := ""
	for _, f := range fields {
		if f.name == "cseq" {
			words := strings.Fields(f.value())
			method = words[len(words)-1]
		}
	}
	out, content := p.body(fields, body, method)
	popped := false
	for _, f := range fields {
		switch {
		case f.name == "via" && !popped:
			popped = true
		case f.name == "content-length":
			start += f.length(content)
		default:
			start += f.line
		}
	}
	return start + "\r\n" + out
}

func has(fields []rawField, name string) bool {
	for _, f := range fields {
		if f.name == name {
			return true
		}
	}
	return false
}

// length puts the body's length into Content-Length, if the body changed.
func (f rawField) length(changed *int) string {
	if changed == nil {
		return f.line
	}
	return f.with(strconv.Itoa(*changed))
}

// stamp is the sender's Via with the source in it (RFC 3261 clause 18.2.1, RFC 3581).
func (p passage) stamp(f rawField) string {
	first, rest, list := strings.Cut(f.value(), ",")
	value := strings.TrimRight(first, " \t\r\n")
	gap := first[len(value):]
	ip := p.src.Addr().String()
	_, params, _ := strings.Cut(value, ";")
	sentBy := strings.TrimSuffix(value, ";"+params)
	here := strings.HasSuffix(sentBy, " "+ip) || strings.Contains(sentBy, " "+ip+":")
	received := regexp.MustCompile(`;received=[^;]*`)
	rport := regexp.MustCompile(`;rport\b(=\d*)?`)
	asks := rport.MatchString(value)
	value = rport.ReplaceAllString(value, fmt.Sprintf(";rport=%d", p.src.Port()))
	switch {
	case received.MatchString(value):
		value = received.ReplaceAllString(value, ";received="+ip)
	case asks || !here:
		value += ";received=" + ip
	}
	if list {
		gap += "," + rest
	}
	return f.with(value + gap)
}

// unrouted is a Route line without the values that name the proxy.
func (p passage) unrouted(f rawField) string {
	values := strings.Split(f.value(), ",")
	for len(values) > 0 && strings.Contains(values[0], "<sip:"+p.proxy.String()+";") {
		values = values[1:]
	}
	if len(values) == 0 {
		return ""
	}
	return f.with(strings.TrimLeft(strings.Join(values, ","), " \t\r\n"))
}

// body is the body with the relay's addresses in it, and its length if it changed.
func (p passage) body(fields []rawField, body, method string) (string, *int) {
	kind := ""
	for _, f := range fields {
		if f.name == "content-type" {
			kind = f.value()
		}
	}
	begin, end := 0, len(body)
	switch {
	case p.anchor == "" || body == "" || has(fields, "content-encoding") || !strings.Contains("INVITE ACK PRACK UPDATE", method):
		return body, nil
	case strings.HasPrefix(kind, "multipart/"):
		begin = strings.Index(body, "\r\n\r\nv=0\r\n") + 4
		end = begin + strings.Index(body[begin:], "\r\n--")
		if begin < 4 {
			return body, nil
		}
	case !strings.EqualFold(kind, "application/sdp"):
		return body, nil
	}
	out := body[:begin] + p.anchored(body[begin:end]) + body[end:]
	n := len(out)
	return out, &n
}

// anchored is a description with the relay's addresses: streams 0, 1, … are at
// ports 30000, 30002, …, their RTCP one above.
func (p passage) anchored(sdp string) string {
	index, out := -1, ""
	for l := range strings.Lines(sdp) {
		text := strings.TrimRight(l, "\r\n")
		end := l[len(text):]
		words := strings.Split(text, " ")
		switch {
		case strings.HasPrefix(text, "o=") && len(words) == 6:
			text = strings.Join(words[:3], " ") + " IN IP4 " + p.anchor
		case strings.HasPrefix(text, "c=") && text != "c=IN IP4 0.0.0.0":
			text = "c=IN IP4 " + p.anchor
		case strings.HasPrefix(text, "m="):
			index++
			if words[1] != "0" {
				words[1] = strconv.Itoa(30000 + 2*index)
			}
			text = strings.Join(words, " ")
		case strings.HasPrefix(text, "a=rtcp:"):
			text = fmt.Sprintf("a=rtcp:%d", 30001+2*index)
			if len(words) == 4 {
				text += " IN IP4 " + p.anchor
			}
		}
		out += text + end
	}
	return out
}

// calm keeps retransmissions out of a test that is not about them.
func calm(c *sipproxy.Config) {
	c.Timers.T1, c.Timers.T2 = 3*time.Second, 5*time.Second
}

// pass sends a message of one peer, and returns it as the other one got it: nothing
// may have changed that need not.
func (w *world) pass(from, to *agent, msg string) *wire.Message {
	w.t.Helper()
	anchor := "198.51.100.1"
	if to == w.core {
		anchor = "192.0.2.1"
	}
	return w.passAnchored(from, to, msg, anchor)
}

// passAnchored is pass with another anchor, none for a message that is no part of an
// anchored call.
func (w *world) passAnchored(from, to *agent, msg, anchor string) *wire.Message {
	w.t.Helper()
	from.send(w.proxy, msg)
	start, _, _ := strings.Cut(msg, " ")
	if start == "SIP/2.0" {
		start = msg[:len("SIP/2.0 200")]
	}
	out := to.want(start + " ")
	p := passage{proxy: w.proxy, src: from.addr, anchor: anchor}
	if diff := p.altered(msg, string(out.Raw)); diff != "" {
		w.t.Errorf("more than a proxy may change (-want +got):\n%s", diff)
	}
	return out
}

// tortureRequests are all requests of RFC 4475 and RFC 5118 that a proxy must, or a
// lenient one may, pass on.
func tortureRequests(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range forwarded() {
		all[name] = readTorture(t, "messages", name)
	}
	files, err := filepath.Glob(filepath.Join("wire", "testdata", "rfc5118", "*.dat"))
	if err != nil || len(files) < 12 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".dat")
		text := readTorture(t, "rfc5118", name)
		text = strings.ReplaceAll(text, "\n", "\r\n") // the files have bare LF, see their README
		if !strings.Contains(text, "\r\n\r\n") {
			text += "\r\n"
		}
		_, body, _ := strings.Cut(text, "\r\n\r\n")
		text = regexp.MustCompile(`Content-Length: \d+`).ReplaceAllString(text, fmt.Sprintf("Content-Length: %d", len(body)))
		if name != "ipv6-bad" {
			all[name] = text
		}
	}
	return all
}

func readTorture(t *testing.T, folder, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("wire", "testdata", folder, name+".dat"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// anyDomain routes whatever the core sends to the trunk.
func anyDomain(c *sipproxy.Config) {
	c.Peers[0].Domains, c.Peers[0].Numbers = nil, nil
	c.Peers[1].Domains = []string{"services.example.com", "example.com", "example.net", "chair-dnrc.example.com"}
}

func TestTortureMessagesKeepEveryOctet(t *testing.T) {
	t.Parallel()
	for name, msg := range tortureRequests(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, calm, anyDomain)
			msg = strings.Replace(msg, "sip:127.0.0.1:5080", "sip:"+w.trunks[0].addr.String(), 1) // a Route of mpart01
			if name == "wsinv" {
				w.passAnchored(w.core, w.trunks[0], msg, "") // in a dialog that the proxy does not know
				return
			}
			w.pass(w.core, w.trunks[0], msg)
		})
	}
}

// The two valid responses of RFC 4475 (clauses 3.1.1.12 and 3.1.1.13) answer a
// request that went through.
func TestTortureResponsesKeepEveryOctet(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"unreason", "noreason"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, calm, anyDomain, func(c *sipproxy.Config) { c.Shards = 1 })
			resp := strings.Replace(readTorture(t, "messages", name), "SIP/2.0 100 ", "SIP/2.0 183 ", 1) // a 100 ends at each hop
			req := w.core.request(outgoing("c1"))
			w.core.send(w.proxy, req)
			got := w.trunks[0].want("INVITE")
			vias := ""
			for e := range got.Elements(wire.Via) {
				vias += "Via: " + got.Text(e.Span) + "\r\n"
			}
			at := strings.Index(resp, "Via:")
			next := at + strings.Index(resp[at:], "\r\n") + 2
			w.pass(w.trunks[0], w.core, resp[:at]+vias+resp[next:])
		})
	}
}

// The comparison above can fail: whatever else is done to a message is seen.
func TestTamperingIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, calm)
	inv := outgoing("c1")
	inv.extra = "x-Folded:  one\r\n\t two\r\nk:100rel\r\nRoute: <sip:" + w.proxy.String() + ";lr>\r\n"
	sent := w.core.request(inv)
	w.core.send(w.proxy, sent)
	got := string(w.trunks[0].want("INVITE").Raw)
	p := passage{proxy: w.proxy, src: w.core.addr, anchor: "198.51.100.1"}
	if diff := p.altered(sent, got); diff != "" {
		t.Fatalf("changed too much:\n%s", diff)
	}
	for name, edit := range map[string][2]string{
		"case of a name":             {"x-Folded", "X-Folded"},
		"fold":                       {"one\r\n\t two", "one two"},
		"white space in a value":     {"kept\t as", "kept as"},
		"white space at a line end":  {"it is \r\n", "it is\r\n"},
		"compact form":               {"k:100rel", "Supported: 100rel"},
		"parameter":                  {";tag=a", ";tag=A"},
		"lost line":                  {"k:100rel\r\n", ""},
		"order":                      {"x-Folded:  one\r\n\t two\r\nk:100rel\r\n", "k:100rel\r\nx-Folded:  one\r\n\t two\r\n"},
		"added line":                 {"k:100rel\r\n", "k:100rel\r\nServer: x\r\n"},
		"hops":                       {"Max-Forwards: 69", "Max-Forwards: 68"},
		"own route left":             {"k:100rel\r\n", "k:100rel\r\nRoute: <sip:" + w.proxy.String() + ";lr>\r\n"},
		"content length":             {fmt.Sprintf("Content-Length: %d", len(got)-strings.Index(got, "v=0")), "Content-Length: 1"},
		"sdp line":                   {"s=-", "s= "},
		"sdp version":                {"o=- 1 1", "o=- 1 2"},
		"sdp address not the relays": {"c=IN IP4 198.51.100.1", "c=IN IP4 10.1.1.1"},
		"sdp line end":               {"t=0 0\r\n", "t=0 0\n"},
		"format":                     {"RTP/AVP 8", "RTP/AVP 0"},
		"octets after the body":      {"RTP/AVP 8\r\n", "RTP/AVP 8\r\n\r\n"},
	} {
		if strings.Count(got, edit[0]) != 1 {
			t.Errorf("%s: %q stands %d times in\n%s", name, edit[0], strings.Count(got, edit[0]), got)
		}
		if p.altered(sent, strings.Replace(got, edit[0], edit[1], 1)) == "" {
			t.Errorf("%s: not seen", name)
		}
	}
	for at := range got {
		spoilt := bytes.Clone([]byte(got))
		spoilt[at] ^= 0x01
		if p.altered(sent, string(spoilt)) == "" && !hashed(got, at) {
			t.Errorf("octet %d (%q) changed unseen", at, got[at])
		}
	}
}

// hashed reports whether an octet is of the proxy's keyed hashes.
func hashed(msg string, at int) bool {
	for _, span := range regexp.MustCompile(`z9hG4bKlg[0-9a-f]{48}|;lg=[0-9a-f]{52}`).FindAllStringIndex(msg, -1) {
		if at >= span[0] && at < span[1] {
			return true
		}
	}
	return false
}
