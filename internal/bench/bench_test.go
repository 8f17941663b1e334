package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/internal/bench"
)

// loadArg makes the test binary be the load process, gatewayArg the gateway process,
// failArg one that ends at once.
const (
	loadArg    = "be-the-load"
	gatewayArg = "be-the-gateway"
	failArg    = "fail"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == loadArg {
		if err := bench.Load(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == gatewayArg {
		if err := bench.Gateway(context.Background(), os.Stdin, os.Stdout, nil); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == failArg {
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func short() bench.Config {
	return bench.Config{LoadArgs: []string{loadArg}, Length: 300 * time.Millisecond}
}

func value(t *testing.T, r *bench.Report, name string) float64 {
	t.Helper()
	v, ok := r.Value(name)
	if !ok {
		t.Fatalf("no figure %s", name)
	}
	return v
}

func TestRelayCountsWhatArrived(t *testing.T) {
	r, err := bench.Relay(t.Context(), short(), []int{1, 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"calls_1_lost", "calls_4_lost"} {
		if v := value(t, r, name); v != 0 {
			t.Errorf("%s = %v, want 0", name, v)
		}
	}
	// 100 packets a second a call; a busy machine may be slower, none is faster.
	if v := value(t, r, "calls_4_rate"); v < 100 || v > 450 {
		t.Errorf("4 calls: %v packets/s, want about 400", v)
	}
	if v := value(t, r, "calls_4_cpu"); v <= 0 || value(t, r, "best_per_core") <= 0 {
		t.Errorf("%v ns a packet", v)
	}
}

func TestTeeCountsCopies(t *testing.T) {
	r, err := bench.Tee(t.Context(), short(), 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	if none := value(t, r, "tapped_0_percent_copies"); none != 0 {
		t.Errorf("%v copies of nobody's calls", none)
	}
	tenth, all := value(t, r, "tapped_10_percent_copies"), value(t, r, "tapped_100_percent_copies")
	if tenth == 0 || all < 5*tenth || all > 20*tenth {
		t.Errorf("%v copies of one call and %v of ten", tenth, all)
	}
	for _, name := range []string{"tapped_10_percent_copies_missing", "tapped_100_percent_copies_missing"} {
		if v := value(t, r, name); v != 0 {
			t.Errorf("%s = %v, want 0", name, v)
		}
	}
	if v := value(t, r, "tapped_0_percent_ratio"); v != 1 {
		t.Errorf("ratio to itself %v, want 1", v)
	}
}

func TestRefusesNoCalls(t *testing.T) {
	t.Parallel()
	if _, err := bench.Relay(t.Context(), short(), []int{0}); err == nil {
		t.Error("nothing was measured without an error")
	}
}

// A load that dies is an error, not a figure.
func TestLoadThatFails(t *testing.T) {
	t.Parallel()
	cfg := short()
	cfg.LoadArgs = []string{failArg}
	if _, err := bench.Relay(t.Context(), cfg, []int{1}); err == nil {
		t.Error("a load that ended at once was measured")
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"no order":         "",
		"unknown order":    `{"kind":"fax"}`,
		"no anchors":       `{"kind":"rtp","calls":1,"length":1000000}`,
		"too few anchors":  `{"kind":"rtp","calls":2,"length":1000000}{"access":["127.0.0.1:9"],"trunk":["127.0.0.1:9"]}`,
		"a broken address": `{"kind":"rtp","calls":1,"length":1000000}{"access":["nowhere"],"trunk":["127.0.0.1:9"]}`,
		"no proxy":         `{"kind":"sip","calls":1,"length":1000000}{}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := bench.Load(strings.NewReader(in), io.Discard); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := bench.NewReport("tee")
	r.Add("calls", 200, "calls")
	r.Add("tapped_10_percent_ratio", 1.0712, "1")
	r.Add("cpu", 12345.6, "ns/packet")
	var table bytes.Buffer
	if err := r.Print(&table); err != nil {
		t.Fatal(err)
	}
	want := `tee  calls                           200  calls
tee  tapped_10_percent_ratio        1.07  ×
tee  cpu                           12346  ns/packet
`
	if diff := cmp.Diff(want, table.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	var got struct {
		Part    string
		CPUs    int
		Figures []bench.Figure
	}
	b, err := json.Marshal(r)
	if err := errors.Join(err, json.Unmarshal(b, &got)); err != nil {
		t.Fatal(err)
	}
	if got.Part != "tee" || got.CPUs < 1 || !cmp.Equal(got.Figures, r.Figures) {
		t.Errorf("read back %+v", got)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 1}, {[]float64{9, 1, 5}, 5}} {
		if got := bench.Median(c.in); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}
