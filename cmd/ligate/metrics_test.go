package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/internal/demo"
)

// Whoever reads /metrics cannot tell whether there are taps: two nodes carry the
// same call, one without a warrant, one with six of which one names the caller, and
// show the same series, and the same values for all that counts calls and media.
func TestMetricsTellNothingOfTaps(t *testing.T) {
	var seen [2]map[string]string
	for i, warrants := range []int{0, 6} {
		st := newStory(t)
		st.inProcess(t)
		if err := st.people(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n := range warrants {
			target := aliceNumber
			if n > 0 {
				target = fmt.Sprintf("+49305559%02d", n)
			}
			st.order(t, fmt.Sprintf("W-%d", n), target)
		}
		h, err := st.world.alice.Call(t.Context(), farNumber, demo.SubscriberSpeech().Seconds(1), len(demo.PSTNSpeech())/demo.FrameSamples)
		if err != nil || h.Status != http.StatusOK {
			t.Fatalf("call: %d, %v", h.Status, err)
		}
		if warrants > 0 && st.metric(t, "ligate_tee_published_pdus_total") == 0 {
			t.Fatal("the call was not tapped: the comparison proves nothing")
		}
		seen[i] = settled(t, st)
	}
	if diff := cmp.Diff(names(seen[0]), names(seen[1])); diff != "" {
		t.Errorf("series differ:\n%s", diff)
	}
	for _, name := range names(seen[0]) {
		if strings.HasPrefix(name, "ligate_") && !strings.HasPrefix(name, "ligate_admf_") && seen[0][name] != seen[1][name] {
			t.Errorf("%s: %s without taps, %s with", name, seen[0][name], seen[1][name])
		}
	}
}

// settled reads /metrics once the call has left the relay.
func settled(t *testing.T, st *story) map[string]string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		series := map[string]string{}
		for line := range strings.Lines(fetch(t, http.DefaultClient, "http://"+st.world.ports.metrics+"/metrics")) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
				series[key] = value
			}
		}
		if series["ligate_media_sessions"] == "0" {
			return series
		}
		if time.Now().After(deadline) {
			t.Fatal("the relay keeps the call")
		}
	}
}

func names(series map[string]string) []string {
	var all []string
	for name := range series {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}
