package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// PeersConfig is what a comparison with other programs needs; all fields are
// required.
type PeersConfig struct {
	Config

	GatewayArgs []string // the arguments that make this binary run Gateway
}

// relayPeer is a relay that runs as a process of its own.
type relayPeer interface {
	group() int
	anchor(load addresses, tapped int) (addresses, error)
	settled(ctx context.Context) (copies, error) // once all copies are counted
	close() error
}

// The relays that are compared. Direct is none: the load's sockets send to each
// other.
const (
	nameDirect    = "direct"
	nameOurs      = "ours"
	nameRTPEngine = "rtpengine"
	nameKamailio  = "kamailio"
)

// startRelay runs a relay, on one core if pin names it; nil for none.
func startRelay(ctx context.Context, cfg PeersConfig, name, pin string) (relayPeer, error) {
	switch name {
	case nameOurs:
		return startOurs(ctx, pin, cfg.GatewayArgs)
	case nameRTPEngine:
		return startRTPEngine(ctx, pin)
	}
	return direct{}, nil
}

// direct is no relay.
type direct struct{}

func (direct) group() int { return 0 }

func (direct) anchor(load addresses, _ int) (addresses, error) {
	return addresses{Access: load.Trunk, Trunk: load.Access}, nil
}

func (direct) settled(context.Context) (copies, error) { return copies{}, nil }

func (direct) close() error { return nil }

// relayed is one load through a relay.
type relayed struct {
	done
	spent    spent
	copies   copies
	expected float64 // copies
}

// busyPerPacket is the processes' own time, ns.
func (r relayed) busyPerPacket() float64 { return float64(r.spent.busy) / float64(r.Sent) }

// interruptsPerPacket is the machine's time in interrupts beyond what the same
// packets cost without a relay, ns.
func (r relayed) interruptsPerPacket(base relayed) float64 {
	return float64(r.spent.interrupts)/float64(r.Sent) - float64(base.spent.interrupts)/float64(base.Sent)
}

// relayOnce starts a relay, sends the load through it and ends it.
func relayOnce(ctx context.Context, cfg PeersConfig, name, pin string, calls, tapped int) (r relayed, err error) {
	p, err := startRelay(ctx, cfg, name, pin)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	c, load, err := startLoad(ctx, cfg.Config, order{Kind: "rtp", Calls: calls, Length: cfg.Length})
	if err != nil {
		return r, err
	}
	defer c.kill()
	anchors, err := p.anchor(load, tapped)
	if err != nil {
		return r, err
	}
	before, err := spentBy(p.group())
	if err != nil {
		return r, err
	}
	if r.done, err = c.finish(anchors); err != nil {
		return r, err
	}
	if r.copies, err = p.settled(ctx); err != nil {
		return r, err
	}
	after, err := spentBy(p.group())
	if err != nil {
		return r, err
	}
	if r.Sent == 0 || r.Received == 0 {
		return r, fmt.Errorf("bench: no packet came through (%s)", name)
	}
	r.spent = after.since(before)
	r.expected = float64(r.Sent) / float64(calls) * float64(tapped) // every call sends as much
	if name == nameDirect {
		r.expected = 0
	}
	if r.expected > 0 && r.copies.stored == 0 {
		return r, ErrNoCopies
	}
	return r, nil
}

// RelayPeers carries the same calls, the given percentage of them tapped, through our
// relay, through rtpengine and through none, in turn, as many rounds, the order
// turning with each. The relay has one core and the load another.
func RelayPeers(ctx context.Context, cfg PeersConfig, calls, percent, rounds int) (*Report, error) {
	if calls < 1 || percent < 0 || percent > 100 {
		return nil, errors.New("bench: want at least one call, and 0 to 100 % of them tapped")
	}
	tapped := calls * percent / 100
	if _, err := peerRTPEngine().path(); err != nil {
		return nil, err
	}
	relayCore, loadCore, err := twoCores()
	if err != nil {
		return nil, err
	}
	cfg.pinLoad = loadCore
	names := []string{nameOurs, nameRTPEngine, nameDirect}
	runs := map[string][]relayed{}
	for round := range rounds {
		for i := range names {
			name := names[(i+round)%len(names)]
			r, err := relayOnce(ctx, cfg, name, relayCore, calls, tapped)
			if err != nil {
				return nil, err
			}
			runs[name] = append(runs[name], r)
		}
	}
	report := NewReport("peers relay")
	report.Add("calls", float64(calls), "calls")
	report.Add("tapped", float64(tapped), "calls")
	report.Add("rounds", float64(rounds), "rounds")
	for _, name := range names {
		addRelayed(report, name, runs[name], runs[nameDirect])
	}
	addRelayRatios(report, runs)
	return report, nil
}

func addRelayed(report *Report, name string, runs, base []relayed) {
	var busy, interrupts, total, rates, p50, p99 []float64
	var lost, late, stored, missing float64
	for round, r := range runs {
		b, i := r.busyPerPacket(), r.interruptsPerPacket(base[round])
		busy, interrupts, total = append(busy, b), append(interrupts, i), append(total, b+i)
		rates = append(rates, float64(r.Sent)/r.Took.Seconds())
		p50, p99 = append(p50, micros(r.P50)), append(p99, micros(r.P99))
		lost, late = lost+float64(r.Sent-r.Received), late+float64(r.Late)
		stored, missing = stored+r.copies.stored, missing+r.expected-r.copies.stored
	}
	name += "_"
	report.Add(name+"rate", Median(rates), "packets/s")
	if name != nameDirect+"_" {
		report.Add(name+"cpu", Median(busy), "ns/packet")
		report.Add(name+"softirq", Median(interrupts), "ns/packet")
		report.Add(name+"cpu_and_softirq", Median(total), "ns/packet")
		report.Add(name+"copies", stored, "PDUs")
		report.Add(name+"copies_missing", missing, "PDUs")
	}
	report.Add(name+"p50", Median(p50), "µs")
	report.Add(name+"p99", Median(p99), "µs")
	report.Add(name+"lost", lost, "packets")
	report.Add(name+"late", late, "packets")
}

// addRelayRatios adds ours ÷ rtpengine, round by round.
func addRelayRatios(report *Report, runs map[string][]relayed) {
	var cpu, total, p50, p99 []float64
	for round, o := range runs[nameOurs] {
		r, d := runs[nameRTPEngine][round], runs[nameDirect][round]
		cpu = append(cpu, o.busyPerPacket()/r.busyPerPacket())
		total = append(total, (o.busyPerPacket()+o.interruptsPerPacket(d))/(r.busyPerPacket()+r.interruptsPerPacket(d)))
		p50 = append(p50, float64(o.P50)/float64(r.P50))
		p99 = append(p99, float64(o.P99)/float64(r.P99))
	}
	addRatio(report, "cpu_ratio", cpu)
	addRatio(report, "cpu_and_softirq_ratio", total)
	addRatio(report, "p50_ratio", p50)
	addRatio(report, "p99_ratio", p99)
}

// addRatio adds the median of the rounds' ratios and their range. A round too short
// for its processor time to be seen has none.
func addRatio(report *Report, name string, ratios []float64) {
	ratios = slices.DeleteFunc(ratios, func(r float64) bool { return math.IsNaN(r) || math.IsInf(r, 0) })
	if len(ratios) == 0 {
		return
	}
	report.Add(name, Median(ratios), "1")
	report.Add(name+"_lowest", slices.Min(ratios), "1")
	report.Add(name+"_highest", slices.Max(ratios), "1")
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
