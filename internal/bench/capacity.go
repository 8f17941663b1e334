package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	carriedLoss = 0.00015 // of the packets, lost or later than tooLate, in a step that is carried
	fullRate    = 0.98    // of the packets asked for, else the load was too slow
	stepTries   = 3       // a stall of the machine is no limit of the relay
)

// Capacity finds the most calls, of the given numbers in rising order, that a relay
// on one core carries while the load has another, nobody tapped.
func Capacity(ctx context.Context, cfg PeersConfig, steps []int) (*Report, error) {
	if len(steps) == 0 || slices.Min(steps) < 1 || !slices.IsSorted(steps) {
		return nil, errors.New("bench: want numbers of calls, at least 1, in rising order")
	}
	relayCore, loadCore, err := twoCores()
	if err != nil {
		return nil, err
	}
	if _, err := peerRTPEngine().path(); err != nil {
		return nil, err
	}
	cfg.pinLoad = loadCore
	report := NewReport("peers capacity")
	most := map[string]float64{}
	for _, name := range []string{nameOurs, nameRTPEngine} {
		for _, calls := range steps {
			r, carried, err := capacityStep(ctx, cfg, name, relayCore, calls)
			if err != nil {
				return nil, err
			}
			step := fmt.Sprintf("%s_calls_%d_", name, calls)
			report.Add(step+"rate_asked", float64(2*calls)*1000/frameMillis, "packets/s")
			report.Add(step+"rate", float64(r.Sent)/r.Took.Seconds(), "packets/s")
			report.Add(step+"cpu", r.busyPerPacket(), "ns/packet")
			report.Add(step+"lost_or_late", float64(r.unheard()), "packets")
			if !carried {
				break
			}
			most[name] = float64(calls)
		}
		report.Add(name+"_most_calls", most[name], "calls/core")
	}
	if most[nameRTPEngine] > 0 {
		report.Add("most_calls_ratio", most[nameOurs]/most[nameRTPEngine], "1")
	}
	return report, nil
}

// unheard counts packets that did not come in time to be played.
func (r relayed) unheard() int { return r.Sent - r.Received + r.Late }

// capacityStep tells whether a relay carries so many calls.
func capacityStep(ctx context.Context, cfg PeersConfig, name, core string, calls int) (r relayed, carried bool, err error) {
	for range stepTries {
		if r, err = relayOnce(ctx, cfg, name, core, calls, 0); err != nil {
			return r, false, err
		}
		asked := float64(2*calls) * r.Took.Seconds() * 1000 / frameMillis
		if float64(r.unheard()) <= carriedLoss*float64(r.Sent) && float64(r.Sent) >= fullRate*asked {
			return r, true, nil
		}
	}
	return r, false, nil
}

// twoCores chooses the last of the cores that this process may use for the relay and
// the first for the load.
func twoCores() (relay, load string, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return "", "", fmt.Errorf("read own cores: %w", err)
	}
	if set.Count() < 2 {
		return "", "", errors.New("bench: capacity needs two cores, one for the relay and one for the load")
	}
	first, last := -1, -1
	for i, left := 0, set.Count(); left > 0; i++ {
		if !set.IsSet(i) {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
		left--
	}
	return strconv.Itoa(last), strconv.Itoa(first), nil
}
