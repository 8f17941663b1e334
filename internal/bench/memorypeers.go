package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	warmCalls  = 500 // held before counting: what they cost is no cost of a call
	holdWindow = 50  // set up at once
	holdLimit  = 2 * time.Minute

	filesPerCall = 4   // sockets of our gateway: RTP and RTCP on both sides
	otherFiles   = 200 // of a gateway

	kamailioForgets = 7 * time.Second // its transactions: 5 s after the answer
)

// MemoryPeers holds calls in progress on our proxy and on kamailio and reads how
// much memory each call takes: directly after set-up, and once the transactions of
// the set-up are forgotten, which takes 64 t1; zero is the standard's 500 ms. It
// holds fewer calls where the limit of open files is too low.
func MemoryPeers(ctx context.Context, cfg PeersConfig, calls int, t1 time.Duration) (*Report, error) {
	if calls < 1 {
		return nil, errors.New("bench: at least one call is needed")
	}
	if _, err := peerKamailio().path(); err != nil {
		return nil, err
	}
	if t1 == 0 {
		t1 = 500 * time.Millisecond
	}
	calls = min(calls, int(min(raiseFiles(), filesWanted)-otherFiles)/filesPerCall-warmCalls) //nolint:gosec // small
	if calls < 1 {
		return nil, errors.New("bench: too few open files are allowed (ulimit -n)")
	}
	report := NewReport("peers memory")
	report.Add("held", float64(calls), "calls")
	report.Add("t1", float64(t1.Milliseconds()), "ms")
	for _, name := range []string{nameOurs, nameKamailio} {
		forgets := kamailioForgets
		if name == nameOurs {
			forgets = 64*t1 + t4(t1) + time.Second
		}
		if err := hold(ctx, cfg, report, name, calls, t1, forgets); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// hold measures one proxy.
func hold(ctx context.Context, cfg PeersConfig, report *Report, name string, calls int, t1, forgets time.Duration) (err error) {
	c, load, err := startLoad(ctx, cfg.Config, order{Kind: "hold", Calls: holdWindow, Length: holdLimit})
	if err != nil {
		return err
	}
	defer c.kill()
	p, to, err := startProxy(ctx, cfg, name, load, t1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := c.in.Encode(to); err != nil {
		return fmt.Errorf("start load: %w", err)
	}
	if err := holdMore(c, warmCalls); err != nil {
		return err
	}
	base, err := memoryAt(p)
	if err != nil {
		return err
	}
	if err := holdMore(c, calls); err != nil {
		return err
	}
	const kilo = 1000
	add := func(moment string) error {
		now, err := memoryAt(p)
		if err != nil {
			return err
		}
		report.Add(name+"_"+moment+"_rss", float64(now.resident-base.resident)/float64(calls)/kilo, "kB/call")
		if name == nameKamailio { // collects nothing
			return nil
		}
		report.Add(name+"_"+moment+"_collected", float64(now.collected-base.collected)/float64(calls)/kilo, "kB/call")
		return nil
	}
	if err := add("after_setup"); err != nil {
		return err
	}
	select {
	case <-time.After(forgets):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return add("in_progress")
}

// holdMore sets up calls and leaves them.
func holdMore(c *child, calls int) error {
	var d done
	if err := c.ask(step{Calls: calls}, &d); err != nil {
		return fmt.Errorf("run load: %w", err)
	}
	if d.Calls != calls {
		return fmt.Errorf("bench: %d of %d calls were set up", d.Calls, calls)
	}
	return nil
}

// memory is what a proxy has of the machine's, in octets: as it stands, and once it
// has returned what it does not use.
type memory struct{ resident, collected int }

func memoryAt(p sipPeer) (m memory, err error) {
	if m.resident, err = memoryOf(p.group()); err != nil {
		return m, err
	}
	if err := p.collect(); err != nil {
		return m, err
	}
	m.collected, err = memoryOf(p.group())
	return m, err
}
