package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/li"
)

// gateway is the measured process's parts: relay, and tee on a real bus in a
// temporary folder.
type gateway struct {
	index  *tasking.Index
	tee    *tee.Tee
	relay  *media.Relay
	bus    *bus.Bus
	li     *prometheus.Registry // the tee's counts
	dir    string
	cancel context.CancelFunc
	ended  chan error
	parts  int // running, each sends to ended once
}

// The relay's ports are below those that the kernel gives to the load.
const (
	minPort = 10000
	maxPort = 32767
)

// newGateway runs all parts; close ends them.
func newGateway(ctx context.Context) (g *gateway, err error) {
	dir, err := os.MkdirTemp("", "ligate-bench-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	g = &gateway{dir: dir, cancel: cancel, li: prometheus.NewRegistry(), ended: make(chan error, 3)}
	if err := errors.Join(g.build(), g.start(ctx)); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (g *gateway) build() (err error) {
	log := slog.New(slog.DiscardHandler)
	if g.bus, err = bus.New(bus.Config{Dir: g.dir, Key: make([]byte, 32), Log: log}); err != nil {
		return err
	}
	if g.index, err = tasking.New(tasking.Config{}); err != nil {
		return err
	}
	if g.tee, err = tee.New(tee.Config{Log: log, Out: g.bus, NFID: "bench", LIReg: g.li}); err != nil {
		return err
	}
	local := netip.MustParseAddr("127.0.0.1")
	g.relay, err = media.New(media.Config{
		AccessAddr: local, TrunkAddr: local, Ports: media.PortRange{Min: minPort, Max: maxPort}, Quiet: time.Millisecond, Threads: 1,
	})
	return err
}

func (g *gateway) start(ctx context.Context) error {
	if g.relay == nil { // build has said why
		return nil
	}
	g.run(ctx, g.bus.Run)
	select {
	case <-g.bus.Ready():
	case err := <-g.ended:
		g.parts--
		return fmt.Errorf("run bus: %w", err)
	}
	g.run(ctx, g.relay.Run)
	g.run(ctx, g.tee.Run)
	return nil
}

func (g *gateway) run(ctx context.Context, part func(context.Context) error) {
	g.parts++
	go func() { g.ended <- part(ctx) }()
}

func (g *gateway) close() error {
	g.cancel()
	for range g.parts {
		<-g.ended // what was left in the rings is of no interest here
	}
	return os.RemoveAll(g.dir)
}

// tap activates a Task over content and returns its tap.
func (g *gateway) tap() (*tasking.Tap, error) {
	target, err := li.NumberPlan{}.ParseTarget(targetNumber)
	if err != nil {
		return nil, err
	}
	task := li.ContentTask{IRITask: li.IRITask{XID: li.NewXID(), Targets: []li.Identity{target}, Until: time.Now().Add(time.Hour)}}
	if err := g.index.Activate(task); err != nil {
		return nil, err
	}
	return g.index.Match(target)[0], nil
}

// copies is what the tee did so far, in PDUs of both kinds.
type copies struct{ stored, dropped float64 }

func (g *gateway) copies() (c copies, err error) {
	families, err := g.li.Gather()
	if err != nil {
		return c, fmt.Errorf("read the tee's counts: %w", err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "ligate_tee_published_pdus_total":
				c.stored += m.GetCounter().GetValue()
			case "ligate_tee_dropped_pdus_total":
				c.dropped += m.GetCounter().GetValue()
			}
		}
	}
	return c, nil
}

const (
	settleEvery = 20 * time.Millisecond
	settleQuiet = 5 // looks in a row without a change
)

// settled waits until the tee has stored what it holds: until its counts stand
// still.
func (g *gateway) settled(ctx context.Context) (last copies, err error) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for quiet := 0; quiet < settleQuiet; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last, context.Cause(ctx)
		}
		now, err := g.copies()
		if err != nil {
			return last, err
		}
		quiet++
		if now != last {
			last, quiet = now, 0
		}
	}
	return last, nil
}

// cpu is the processor time of this process so far.
func cpu() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
