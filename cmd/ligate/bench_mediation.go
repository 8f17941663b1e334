package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/bench"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/correlate"
	"github.com/ligate/ligate/mediation/evidence"
)

// The traffic of tapped calls with 50 packets of G.711 a second each way. A segment
// holds 4 s of one call, as a deployment's does.
const (
	benchCalls       = 100
	benchPerRound    = 200 // PDUs of one look at the ring: two of each call
	benchPerSegment  = 400 // packets of one call in 4 s
	benchRTPBytes    = 172
	benchFlowPerS    = 60_000  // packets to be mediated for each second asked for
	benchAlone       = 400_000 // packets; correlate.Bench seals what is whole, else it waits
	benchCallPackets = 100     // a second, both ways
	benchDrainLimit  = 3 * time.Minute
	benchBacklogLook = 10 * time.Millisecond
)

type benchMediationCmd struct {
	benchFlags

	Approvals int `default:"20" help:"Warrants that are approved."`
}

// Run measures mediation on real parts, correlation with sealing alone, and how
// long an approval takes to become a tap that the gateway confirmed.
func (c *benchMediationCmd) Run(ctx context.Context, s streams) error {
	if c.Approvals < 1 {
		return usagef("--approvals: want at least 1")
	}
	report := bench.NewReport("mediation")
	err := benchFlow(ctx, report, c.Seconds*benchFlowPerS)
	if err == nil {
		err = benchPush(ctx, report, c.Seconds)
	}
	if err == nil {
		err = benchApprovals(ctx, report, c.Approvals)
	}
	return c.show(s, report, err)
}

// benchFlow puts about n packets on a bus and then has them mediated.
func benchFlow(ctx context.Context, report *bench.Report, n int) (err error) {
	w, err := newBenchWorld(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	b, err := bus.New(bus.Config{Dir: filepath.Join(w.dir, "bus"), Key: make([]byte, 32), Log: w.log})
	if err != nil {
		return err
	}
	run, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- b.Run(run) }()
	defer func() { cancel(); err = errors.Join(err, <-ended) }()
	select {
	case <-b.Ready():
	case err := <-ended:
		ended <- nil // for the deferred wait
		return err
	}
	const round = benchCalls * benchPerSegment
	n = max(1, n/round) * round
	start := time.Now()
	if err := w.publish(ctx, b, n); err != nil {
		return err
	}
	published := time.Since(start)
	start = time.Now()
	if err := w.mediate(ctx, b); err != nil {
		return err
	}
	took := time.Since(start)
	segments, err := w.complete(ctx, n)
	if err != nil {
		return err
	}
	alone, err := correlate.Bench(ctx, w.info.Recipients[0], benchCalls, benchAlone*max(1, n/benchAlone))
	if err != nil {
		return err
	}
	stored := float64(n) / took.Seconds()
	report.Add("packets", float64(n), "packets")
	report.Add("bus_publish_rate", float64(n)/published.Seconds(), "packets/s")
	report.Add("mediated_rate", stored, "packets/s")
	report.Add("mediated_segments", float64(segments)/took.Seconds(), "segments/s")
	report.Add("mediated_calls_at_once", stored/benchCallPackets, "calls")
	report.Add("correlate_and_seal_alone", alone, "packets/s")
	return nil
}

// publish stores n packets as a tee does, but for the time between them: each round
// has two of each call.
func (w *benchWorld) publish(ctx context.Context, b *bus.Bus, n int) error {
	from, to := netip.MustParseAddrPort("127.0.0.2:40000"), netip.MustParseAddrPort("127.0.0.3:40000")
	datagram, format, err := x2x3.AppendDatagram(nil, from, to, make([]byte, benchRTPBytes))
	if err != nil {
		return err
	}
	pdu := x2x3.PDU{Type: x2x3.X3, Format: format, XID: w.info.XID, NFID: "bench", HasSequence: true, Payload: datagram}
	var seqs [benchCalls]uint32
	var batch bus.Batch
	for sent := 0; sent < n; sent += benchPerRound {
		pdu.Time = time.Now().UTC()
		for i := range benchPerRound {
			call := i % benchCalls
			pdu.Correlation, pdu.Sequence, pdu.Direction = uint64(call)+1, seqs[call], x2x3.FromTarget //nolint:gosec // small
			if i >= benchCalls {
				pdu.Direction = x2x3.ToTarget
			}
			seqs[call]++
			msg := &batch[bus.Partition(pdu.XID, pdu.Correlation)]
			if *msg, err = x2x3.AppendPDU(*msg, &pdu); err != nil {
				return err
			}
		}
		if err := b.PublishAll(ctx, x2x3.X3, &batch); err != nil {
			return err
		}
	}
	return nil
}

// mediate runs a correlator until the bus has nothing more that was not stored.
func (w *benchWorld) mediate(ctx context.Context, b *bus.Bus) (err error) {
	c, err := correlate.New(correlate.Config{
		Bus: b, Tasks: w.db.warrants, Store: w.store, Alarms: w.db.warrants, Log: w.log, SegmentBytes: benchPerSegment * benchPacketBytes,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, benchDrainLimit)
	defer cancel()
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(run) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()
	tick := time.NewTicker(benchBacklogLook)
	defer tick.Stop()
	for {
		left, _, err := b.Backlog(ctx)
		if err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("bench: mediation did not finish: %w", context.Cause(ctx))
		}
	}
}

// complete holds what is in the store against what was published, and returns the
// number of segments.
func (w *benchWorld) complete(ctx context.Context, n int) (segments int, err error) {
	docs, _, err := w.store.Sessions(ctx, benchLIID, evidence.Page{Limit: 2 * benchCalls})
	if err != nil {
		return 0, err
	}
	var records, missing int64
	for _, d := range docs {
		records += int64(d.CCRecords)
		missing += int64(d.Missing)
		segments += int(d.Segments)
	}
	if len(docs) != benchCalls || records != int64(n) || missing != 0 {
		return 0, errors.New("bench: mediation did not store what was published")
	}
	return segments, nil
}
