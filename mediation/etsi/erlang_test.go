package etsi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ligate/ligate/mediation/etsi"
)

func update(t *testing.T) bool {
	t.Helper()
	return flag.Lookup("update") != nil && flag.Lookup("update").Value.String() == "true"
}

// TestMain gives the tests their -update: it rewrites testdata/foreign.golden.
func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the golden files")
	os.Exit(m.Run())
}

// erlang returns a program, or ends the test: in CI there is no test without it.
func erlang(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed; scripts/install-deps test installs it", program)
	default:
		t.Skipf("%s is not installed; scripts/install-deps test installs it", program)
	}
	return ""
}

// run runs a program to its end.
func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ERL_CRASH_DUMP_BYTES=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
}

// compiled returns a directory with the modules that Erlang's ASN.1 compiler makes
// of the schemas. It takes some 20 s once and is kept beside Go's build cache, under
// a name that the schemas and the compiler decide.
func compiled(t *testing.T, erlc string) string {
	t.Helper()
	source, err := filepath.Abs("testdata/asn1")
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := filepath.Glob(filepath.Join(source, "*.asn"))
	if err != nil || len(schemas) == 0 {
		t.Fatalf("schemas: %d, %v", len(schemas), err)
	}
	compiler, err := os.Stat(erlc)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %d\n", compiler.Size(), compiler.ModTime().Unix())
	for _, file := range schemas {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(file), len(text), text)
	}
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	parent := strings.TrimSpace(string(cache))
	dir := filepath.Join(parent, fmt.Sprintf("ligate-etsi-%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	tmp, err := os.MkdirTemp(parent, "ligate-etsi-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	options := []string{"-I", source, "+noobj", "-bber", "+maps", "+undec_rest"}
	run(t, tmp, erlc, append(options, schemas...)...)
	generated, err := filepath.Glob(filepath.Join(tmp, "*.erl"))
	if err != nil {
		t.Fatal(err)
	}
	run(t, tmp, erlc, generated...)
	if err := os.Rename(tmp, dir); err != nil {
		if _, err := os.Stat(dir); err != nil { // else somebody else was faster
			t.Fatal(err)
		}
	}
	return dir
}

// stream writes a mixed run of PDUs of all kinds and returns what Erlang must say of each.
func stream(t *testing.T, count int) (ber []byte, lines []string) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	types := []etsi.EncryptionType{etsi.EncNone, etsi.EncAES192, etsi.EncAES256}
	kinds := map[string]int{}
	randomPDUs(t, 42, count, func(raw []byte, want *etsi.PDU) {
		if r.IntN(8) > 0 {
			kinds[fmt.Sprint(want.What, want.TRI)]++
			ber, lines = append(ber, raw...), append(lines, line(want, payload(want)))
			return
		}
		kind, counter := types[r.IntN(3)], r.Uint64()>>r.UintN(64)
		at := len(ber)
		var err error
		if ber, err = newSealer(t, kind).AppendSealed(ber, raw, counter); err != nil {
			t.Fatal(err)
		}
		p, _, err := etsi.Decode(ber[at:])
		if err != nil {
			t.Fatal(err)
		}
		kinds[fmt.Sprint(p.What, p.Encrypted.Type)]++
		lines = append(lines, line(want, sealedPayload(p.Encrypted, counter, payload(want))))
	})
	e := newEncoder(t, call())
	for _, size := range lengths() { // where lengths of lengths change
		c := etsi.CC{Time: at(), Direction: etsi.DirToTarget, Frame: etsi.FrameIP, Packet: make([]byte, size)}
		var err error
		if ber, err = e.AppendCC(ber, &c); err != nil {
			t.Fatal(err)
		}
		p := etsi.PDU{Version: 43, Stream: call(), Time: at(), What: etsi.PayloadCC, CCs: []etsi.CC{c}}
		lines = append(lines, line(&p, payload(&p)))
	}
	// IRI, CC, HI1, three encryptions, and all of TRI but padding, which we do not send.
	if len(kinds) != 3+3+13 {
		t.Errorf("%d kinds of PDUs: %v", len(kinds), kinds)
	}
	return ber, lines
}

func lengths() []int {
	sizes := []int{100_000}
	for n := range 300 {
		sizes = append(sizes, n)
		if n%4 == 0 {
			sizes = append(sizes, 1<<16-n)
		}
	}
	return sizes
}

// broken are PDUs that no decoder may read, and the one that they are made of.
func broken(t *testing.T) (lines, want []string) {
	t.Helper()
	good := octets(t, vectorIRI)
	replace := func(from, to string) []byte {
		b := bytes.Replace(good, octets(t, from), octets(t, to), 1)
		if bytes.Equal(b, good) {
			t.Fatalf("%s is not in the vector", from)
		}
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"as it is", good, "read"},
		{"cut", good[:len(good)-1], "refused"},
		{"followed", append(bytes.Clone(good), 0), "refused"},
		{"domain and LIID change places", replace("80070400020205012B81094C4949442D30303031", "81094C4949442D3030303180070400020205012B"), "refused"},
		{"no sequence number", replace("840100", "8B0100"), "refused"},
		{"LIID of another class", replace("81094C", "41094C"), "refused"},
		{"a million microseconds", replace("810301E240", "81030F4240"), "refused"},
		{"direction before contents", replace("30668001", "30668601"), "refused"},
		{"a fifth type of IRI", replace("800101A261", "800105A261"), "refused"},
		{"address without value", replace("A2068104C0000201", "A3068104C0000201"), "refused"},
		{"length beyond its parent", replace("8233494E56", "8240494E56"), "refused"},
	} {
		lines = append(lines, strings.ToUpper(hex.EncodeToString(tt.b)))
		want = append(want, tt.want)
		_, n, err := etsi.Decode(tt.b)
		if read := err == nil && n == len(tt.b); read != (tt.want == "read") {
			t.Errorf("%s: we say %v", tt.name, err)
		}
	}
	return lines, want
}

// What asn1ct makes of ETSI's schemas reads all that we write, each field as we meant
// it, refuses what is broken, and writes what testdata/foreign.golden holds.
func TestIndependentCodec(t *testing.T) {
	t.Parallel()
	count := 100_000
	if testing.Short() {
		count = 5000
	}
	erlc, erl := erlang(t, "erlc"), erlang(t, "erl")
	modules, dir := compiled(t, erlc), t.TempDir()
	source, err := filepath.Abs("testdata/erlang/ps_pdu.erl")
	if err != nil {
		t.Fatal(err)
	}
	run(t, dir, erlc, source)
	ber, want := stream(t, count)
	brokenPDUs, verdicts := broken(t)
	for name, text := range map[string][]byte{
		"stream.ber": ber, "broken.hex": []byte(strings.Join(brokenPDUs, "\n") + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, erl, "-noshell", "-pa", modules, dir, "-run", "ps_pdu", "main", dir)
	read := func(name string) []string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	differ(t, "stream", read("stream.txt"), want)
	differ(t, "broken", read("broken.txt"), verdicts)
	t.Logf("%d PDUs, %d octets", len(want), len(ber))

	const golden = "testdata/foreign.golden"
	written, err := os.ReadFile(filepath.Join(dir, "foreign.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if update(t) {
		if err := os.WriteFile(golden, written, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	differ(t, golden, strings.Split(string(kept), "\n"), strings.Split(string(written), "\n"))
}

// differ reports the first few differences of two lists of lines.
func differ(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d lines; want %d", what, len(got), len(want))
	}
	shown := 0
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			if shown++; shown > 3 {
				return
			}
			t.Errorf("%s, line %d\ngot  %s\nwant %s", what, i+1, got[i], want[i])
		}
	}
}
