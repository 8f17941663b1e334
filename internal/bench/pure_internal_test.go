package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBencodeReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	got, err := appendBencode(nil, map[string]any{
		"flags": []string{"all"}, "call-id": "a:b", "n": -7, "sdp": "v=0\r\n", "nested": map[string]any{},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "d7:call-id3:a:b5:flagsl3:alle1:ni-7e6:nestedde3:sdp5:v=0\r\ne"
	if string(got) != want {
		t.Errorf("encoded %q, want %q", got, want)
	}
	back, err := decodeBencode(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{
		"flags": []any{"all"}, "call-id": "a:b", "n": -7, "sdp": "v=0\r\n", "nested": map[string]any{},
	}, back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestBencodeRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"nothing":             "",
		"a string cut short":  "5:abc",
		"a length below zero": "-1:a",
		"no length":           ":a",
		"an unended number":   "i5",
		"no number":           "ie",
		"an unended list":     "l1:a",
		"an unended dict":     "d1:a1:b",
		"a key without value": "d1:ae",
		"a number as key":     "di1e1:ae",
		"more than a value":   "i1ei2e",
		"deep nesting":        strings.Repeat("l", 100) + strings.Repeat("e", 100),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if v, err := decodeBencode([]byte(in)); err == nil {
				t.Errorf("read %v", v)
			}
		})
	}
	if _, err := appendBencode(nil, map[string]any{"x": 1.5}); err == nil {
		t.Error("encoded a fraction")
	}
}

func FuzzBencode(f *testing.F) {
	f.Add([]byte("d3:sdp5:v=0\r\n6:result2:oke"))
	f.Add([]byte("l1:ai-3ede e"))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := decodeBencode(in)
		if err != nil && v != nil {
			t.Errorf("an error and %v", v)
		}
	})
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i) + 1
	}
	for _, c := range []struct {
		in   []int64
		p    int
		want time.Duration
	}{{nil, 50, 0}, {[]int64{7}, 99, 7}, {[]int64{1, 2}, 50, 1}, {[]int64{1, 2, 3}, 50, 2}, {hundred, 50, 50}, {hundred, 99, 99}, {hundred[:10], 99, 10}, {hundred, 0, 1}} {
		if got := percentile(c.in, c.p); got != c.want {
			t.Errorf("percentile(%d values, %d) = %d, want %d", len(c.in), c.p, got, c.want)
		}
	}
}

func TestProcessTimes(t *testing.T) {
	t.Parallel()
	const rest = " S 1 42 42 0 -1 4194560 1 0 0 0 150 25 7 9 20 0 8 0 100 0 0"
	for _, name := range []string{"rtpengine", "a) S 1 1", "", "x y"} {
		group, busy, err := processTimes([]byte("17 (" + name + ")" + rest))
		if err != nil || group != 42 || busy != 1750*time.Millisecond {
			t.Errorf("%q: group %d, %v, %v", name, group, busy, err)
		}
	}
	for _, in := range []string{"", "17 rtpengine", "17 (x) S 1 42 42", strings.Replace("17 (x)"+rest, "150", "-1", 1)} {
		if _, _, err := processTimes([]byte(in)); err == nil {
			t.Errorf("read %q", in)
		}
	}
}

func TestInterruptTimes(t *testing.T) {
	t.Parallel()
	got, err := interruptTimes([]byte("cpu  1 2 3 4 5 60 700 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n"))
	if err != nil || got != 7600*time.Millisecond {
		t.Errorf("%v, %v; want 7.6s", got, err)
	}
	for _, in := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8", "cpu 1 2 3 4 5 x 7 8"} {
		if _, err := interruptTimes([]byte(in)); err == nil {
			t.Errorf("read %q", in)
		}
	}
}

func TestMemoryBytes(t *testing.T) {
	t.Parallel()
	got, err := memoryBytes([]byte("55-7f ---p 00000000 00:00 0 [rollup]\nRss:   40 kB\nPss:    12 kB\nPss_Anon: 3 kB\n"))
	if err != nil || got != 12<<10 {
		t.Errorf("%d, %v; want %d", got, err, 12<<10)
	}
	for _, in := range []string{"", "Rss: 40 kB", "Pss: 12 MB", "Pss: x kB", "Pss:"} {
		if _, err := memoryBytes([]byte(in)); err == nil {
			t.Errorf("read %q", in)
		}
	}
}

func TestMediaPort(t *testing.T) {
	t.Parallel()
	if got, err := mediaPort("v=0\r\nm=audio 10020 RTP/AVP 8\r\n"); err != nil || got != 10020 {
		t.Errorf("port %d, %v", got, err)
	}
	for _, in := range []string{"", "m=audio", "m=audio 0 RTP/AVP 8", "m=audio 70000 RTP/AVP 8", "m=audio x RTP/AVP 8"} {
		if _, err := mediaPort(in); err == nil {
			t.Errorf("read %q", in)
		}
	}
}

// What the load reports of a relay that is none is what it sent itself.
func TestDirectLoad(t *testing.T) {
	t.Parallel()
	l := &rtpLoad{}
	defer l.close()
	own, err := l.open(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.connect(2, addresses{Access: own.Trunk, Trunk: own.Access}); err != nil {
		t.Fatal(err)
	}
	d, err := l.run(200 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if d.Sent == 0 || d.Received != d.Sent || d.P50 <= 0 || d.P99 < d.P50 || d.P99 > time.Second {
		t.Errorf("%+v", d)
	}
}
