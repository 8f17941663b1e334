package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// sipPeer is a proxy that runs as a process of its own.
type sipPeer interface {
	group() int
	collect() error // return unused memory
	close() error
}

// startProxy runs a proxy between the two sides of a load and says where the load
// must send. T1 zero is the standard's.
func startProxy(ctx context.Context, cfg PeersConfig, name string, load addresses, t1 time.Duration) (p sipPeer, to addresses, err error) {
	if name == nameKamailio {
		k, err := startKamailio(ctx, load.Trunk[0])
		if err != nil {
			return nil, to, err
		}
		return k, addresses{Access: []netip.AddrPort{k.addr}}, nil
	}
	o, err := startOurs(ctx, "", cfg.GatewayArgs)
	if err != nil {
		return nil, to, err
	}
	to, err = o.order(gatewayOrder{Kind: "sip", Load: load, T1: t1})
	if err != nil {
		return nil, to, errors.Join(err, o.close())
	}
	return o, to, nil
}

// proxiedCalls is one load through a proxy.
type proxiedCalls struct {
	done
	spent spent
}

func (p proxiedCalls) busyPerCall() float64 { return micros(p.spent.busy) / float64(p.Calls) }

// proxyOnce starts a proxy, sends the load through it and ends it.
func proxyOnce(ctx context.Context, cfg PeersConfig, name string, o order) (r proxiedCalls, err error) {
	c, load, err := startLoad(ctx, cfg.Config, o)
	if err != nil {
		return r, err
	}
	defer c.kill()
	p, to, err := startProxy(ctx, cfg, name, load, 0)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	before, err := spentBy(p.group())
	if err != nil {
		return r, err
	}
	if r.done, err = c.finish(to); err != nil {
		return r, err
	}
	after, err := spentBy(p.group())
	if err != nil {
		return r, err
	}
	if r.Calls == 0 {
		return r, fmt.Errorf("bench: no call came through (%s)", name)
	}
	r.spent = after.since(before)
	return r, nil
}

// SIPPeers carries the same calls through our proxy and through kamailio, in turn, as
// many rounds, the order turning with each: first so many in the air, then so many
// new ones a second.
func SIPPeers(ctx context.Context, cfg PeersConfig, window, rate, rounds int) (*Report, error) {
	if window < 1 || rate < 1 {
		return nil, errors.New("bench: at least one call is needed")
	}
	if _, err := peerKamailio().path(); err != nil {
		return nil, err
	}
	report := NewReport("peers sip")
	report.Add("window", float64(window), "calls")
	report.Add("rate", float64(rate), "calls/s")
	report.Add("rounds", float64(rounds), "rounds")
	for _, variant := range []struct {
		name string
		rate int
	}{{"window_", 0}, {"rate_", rate}} {
		o := order{Kind: "sip", Calls: window, Rate: variant.rate, Length: cfg.Length}
		runs := map[string][]proxiedCalls{}
		names := []string{nameOurs, nameKamailio}
		for round := range rounds {
			for i := range names {
				name := names[(i+round)%len(names)]
				r, err := proxyOnce(ctx, cfg, name, o)
				if err != nil {
					return nil, err
				}
				runs[name] = append(runs[name], r)
			}
		}
		for _, name := range names {
			addProxied(report, variant.name+name+"_", runs[name])
		}
		var ratios []float64
		for round, r := range runs[nameOurs] {
			ratios = append(ratios, r.busyPerCall()/runs[nameKamailio][round].busyPerCall())
		}
		addRatio(report, variant.name+"cpu_ratio", ratios)
	}
	return report, nil
}

func addProxied(report *Report, name string, runs []proxiedCalls) {
	var rates, busy []float64
	var failed, rang, first, last float64
	for _, r := range runs {
		rates, busy = append(rates, float64(r.Calls)/r.Took.Seconds()), append(busy, r.busyPerCall())
		failed += float64(r.Failed)
		rang, first, last = rang+float64(r.Rang), first+float64(r.RangFirst), last+float64(r.RangLast)
	}
	report.Add(name+"rate", Median(rates), "calls/s")
	report.Add(name+"cpu", Median(busy), "µs/call")
	report.Add(name+"failed", failed, "calls")
	report.Add(name+"180_sent", rang, "messages")
	report.Add(name+"180_before_200", first, "messages")
	report.Add(name+"180_after_200", last, "messages")
	report.Add(name+"180_missing", rang-first-last, "messages")
}
