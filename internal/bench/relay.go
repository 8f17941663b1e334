package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/tasking"
)

// Config is what a measurement needs; all fields are required.
type Config struct {
	LoadArgs []string      // the arguments that make this binary run Load
	Length   time.Duration // how long each load runs

	pinLoad string // the only core of the load; "" = all
}

// ErrNoCopies says that calls were to be tapped and nothing was copied: what was
// measured is not what was asked for.
var ErrNoCopies = errors.New("bench: no copy of the tapped calls was made")

// run is one load through the relay.
type run struct {
	calls, tapped  int
	sent, received int
	expected       int // copies
	copies         copies
	perSecond      float64 // packets sent
	cpuPerPacket   float64 // ns of this process: relay, and for tapped calls tee and bus
}

func (r run) lost() float64 { return float64(r.sent - r.received) }

// Relay carries each of the given numbers of calls, of 50 packets a second each
// way, nobody tapped.
func Relay(ctx context.Context, cfg Config, calls []int) (*Report, error) {
	report := NewReport("relay")
	var best float64
	for _, n := range calls {
		r, err := relay(ctx, cfg, n, 0)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("calls_%d_", n)
		report.Add(name+"rate", r.perSecond, "packets/s")
		report.Add(name+"lost", r.lost(), "packets")
		report.Add(name+"cpu", r.cpuPerPacket, "ns/packet")
		if r.lost() <= maxLoss*float64(r.sent) {
			best = max(best, 1e9/r.cpuPerPacket)
		}
	}
	report.Add("best_per_core", best, "packets/s/core")
	return report, nil
}

const maxLoss = 0.001 // of the packets, in a run that counts as carried

// Tee carries the calls with none, a tenth and all of them tapped, in turn, as
// many rounds, the order turning with each. Its ratios are medians over the rounds
// of processor time a packet, against none tapped in the same round.
func Tee(ctx context.Context, cfg Config, calls, rounds int) (*Report, error) {
	percents := []int{0, 10, 100}
	byPercent := map[int][]run{}
	for round := range rounds {
		for i := range percents {
			percent := percents[(i+round)%len(percents)]
			r, err := relay(ctx, cfg, calls, calls*percent/100)
			if err != nil {
				return nil, err
			}
			byPercent[percent] = append(byPercent[percent], r)
		}
	}
	report := NewReport("tee")
	report.Add("calls", float64(calls), "calls")
	report.Add("rounds", float64(rounds), "rounds")
	for _, percent := range percents {
		var cpus, ratios []float64
		var lost, missing, stored float64
		for round, r := range byPercent[percent] {
			cpus = append(cpus, r.cpuPerPacket)
			ratios = append(ratios, r.cpuPerPacket/byPercent[0][round].cpuPerPacket)
			lost += r.lost()
			stored += r.copies.stored
			missing += float64(r.expected) - r.copies.stored
		}
		name := fmt.Sprintf("tapped_%d_percent_", percent)
		report.Add(name+"cpu", Median(cpus), "ns/packet")
		report.Add(name+"ratio", Median(ratios), "1")
		report.Add(name+"lost", lost, "packets")
		report.Add(name+"copies", stored, "PDUs")
		report.Add(name+"copies_missing", missing, "PDUs")
	}
	return report, nil
}

func relay(ctx context.Context, cfg Config, calls, tapped int) (run, error) {
	if calls < 1 {
		return run{}, errors.New("bench: at least one call is needed")
	}
	g, err := newGateway(ctx)
	if err != nil {
		return run{}, err
	}
	r, err := g.measureRelay(ctx, cfg, run{calls: calls, tapped: tapped})
	return r, errors.Join(err, g.close())
}

func (g *gateway) measureRelay(ctx context.Context, cfg Config, r run) (run, error) {
	c, load, err := startLoad(ctx, cfg, order{Kind: "rtp", Calls: r.calls, Length: cfg.Length})
	if err != nil {
		return r, err
	}
	defer c.kill()
	anchors, err := g.anchor(load, r.tapped)
	if err != nil {
		return r, err
	}
	before, err := cpu()
	if err != nil {
		return r, err
	}
	d, err := c.finish(anchors)
	if err != nil {
		return r, err
	}
	if r.copies, err = g.settled(ctx); err != nil {
		return r, err
	}
	after, err := cpu()
	if err != nil {
		return r, err
	}
	if r.tapped > 0 && r.copies.stored == 0 {
		return r, ErrNoCopies
	}
	if d.Sent == 0 || d.Received == 0 {
		return r, errors.New("bench: no packet came through")
	}
	r.sent, r.received, r.expected = d.Sent, d.Received, d.Sent/r.calls*r.tapped // every call sends as much
	r.perSecond = float64(d.Sent) / d.Took.Seconds()
	r.cpuPerPacket = float64(after-before) / float64(d.Sent)
	return r, nil
}

// anchor opens a session for each call of the load and taps the first of them.
func (g *gateway) anchor(load addresses, tapped int) (anchors addresses, err error) {
	var tap *tasking.Tap
	if tapped > 0 {
		if tap, err = g.tap(); err != nil {
			return anchors, err
		}
	}
	for i := range load.Access {
		s := g.relay.Open(media.Families{})
		st, err := s.Stream(0)
		if err != nil {
			return anchors, err
		}
		st.SetRemote(media.Access, load.Access[i], netip.AddrPort{})
		st.SetRemote(media.Trunk, load.Trunk[i], netip.AddrPort{})
		if i < tapped {
			line := g.tee.Line(tap, uint64(i)+1) //nolint:gosec // not negative
			s.SetTaps([]media.Tapping{{Line: line, Grant: tap.Media(), Target: media.Access}})
		}
		a, _ := st.Anchor(media.Access)
		b, _ := st.Anchor(media.Trunk)
		anchors.Access, anchors.Trunk = append(anchors.Access, a), append(anchors.Trunk, b)
	}
	return anchors, nil
}
