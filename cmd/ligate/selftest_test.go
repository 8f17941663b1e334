package main

import (
	"context"
	"strings"
	"testing"
	"time"
)

// The self-test of a gateway: a call on the test line arrives as it was said and is
// acknowledged; without its tap, or without the gateway, it fails and says where.
func TestSelftest(t *testing.T) {
	st := newStory(t)
	gateway := st.spawn(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.order(t, "SELF-1", aliceNumber)
	args := []string{
		"selftest", "--api", st.api, "--server", st.server, "--keys", st.path("agency", "keys"), "--dir", st.path("agency", "selftest"), "--liid", "SELF-1",
		"--gateway", st.world.ports.sip, "--access", st.world.ports.alice, "--trunk", st.world.ports.pstn, "--line", aliceNumber, "--far", farNumber, "--within", "15s",
	}
	for range 2 {
		out, err := st.cli(t.Context(), args...)
		if err != nil || !strings.Contains(out, "sample for sample") {
			t.Fatalf("%s, %v", out, err)
		}
	}
	out, err := st.cli(t.Context(), st.as("ann", "warrant", "receipts", st.warrantID)...)
	if err != nil || strings.Count(out, "\n") < 3 {
		t.Errorf("the self-test left no receipts: %s, %v", out, err)
	}
	if _, err := st.cli(t.Context(), st.as("ann", "warrant", "revoke", st.warrantID, "--reason", "test")...); err != nil {
		t.Fatal(err)
	}
	if err := st.awaitTap(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := st.cli(t.Context(), args...); err == nil || !strings.Contains(err.Error(), errSelfArrival.Error()) {
		t.Errorf("without a tap: %v", err)
	}
	stop(t, gateway)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := st.cli(short, args...); err == nil {
		t.Error("without a gateway it works")
	}
}
