package media_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/ligate/ligate/intercept/media"
)

// The relay's threads wait in raw system calls; the garbage collector, which must stop
// them for a moment, never waits as long as they do.
func TestCollectorDoesNotWaitForTheRelay(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	r, err := media.New(media.Config{AccessAddr: loopback, TrunkAddr: loopback, Ports: media.PortRange{Min: 32300, Max: 32399}, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-r.Ready()
	time.Sleep(20 * time.Millisecond) // both threads wait, for up to half a second
	start := time.Now()
	const rounds = 20
	for range rounds {
		runtime.GC()
	}
	if took := time.Since(start); took > rounds*100*time.Millisecond {
		t.Errorf("%d collections took %v", rounds, took)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if after := runtime.GOMAXPROCS(0); after != before {
		t.Errorf("GOMAXPROCS is %d after the relay, %d before", after, before)
	}
}
