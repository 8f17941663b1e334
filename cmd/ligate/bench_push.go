package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/internal/bench"
	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/correlate"
	"github.com/ligate/ligate/mediation/deliver"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/warrant"
)

const (
	pushCalls  = 200                   // tapped at once, while the lag is measured
	pushRound  = 20 * time.Millisecond // between two looks of the tee
	pushUpTo   = 30 * time.Second      // for the LEMF to have all
	pushPerS   = 40_000                // packets of the capacity run for each second asked for
	pushWarmUp = time.Second
)

// benchPush measures the way from the tap to a LEMF over TLS, beside the sealed store:
// the lag of 200 calls at their real rate, and what one core carries.
func benchPush(ctx context.Context, report *bench.Report, seconds int) error {
	if err := pushLag(ctx, report, seconds); err != nil {
		return err
	}
	return pushCapacity(ctx, report, seconds*pushPerS)
}

// pusher is mediation with a bus, a store and an outlet.
type pusher struct {
	*benchWorld

	bus    *bus.Bus
	outlet *deliver.Outlet
	own    tls.Certificate
	signer tls.Certificate
	g      *errgroup.Group
	stop   context.CancelFunc
}

func newPusher(ctx context.Context) (p *pusher, err error) {
	w, err := newBenchWorld(ctx)
	if err != nil {
		return nil, err
	}
	p = &pusher{benchWorld: w}
	secrets := secrets{dir: filepath.Join(w.dir, "secrets")}
	if p.own, err = secrets.handover(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	if p.signer, err = secrets.integrity(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	run, stop := context.WithCancel(ctx)
	p.stop = stop
	p.g, run = errgroup.WithContext(run)
	if p.bus, err = bus.New(bus.Config{Dir: filepath.Join(w.dir, "bus"), Key: make([]byte, 32), Log: w.log}); err == nil {
		p.g.Go(func() error { return p.bus.Run(run) })
		p.outlet, err = outletFor(w, p)
	}
	if err != nil {
		return nil, errors.Join(err, p.end())
	}
	select {
	case <-p.bus.Ready():
	case <-run.Done():
		return nil, errors.Join(errors.New("bench: the bus does not run"), p.end())
	}
	p.g.Go(func() error { return p.outlet.Run(run) })
	return p, nil
}

func outletFor(w *benchWorld, p *pusher) (*deliver.Outlet, error) {
	key, err := ecdsaKey(p.signer)
	if err != nil {
		return nil, err
	}
	return deliver.New(deliver.Config{
		Bus: p.bus, Records: w.db.warrants, Outbox: w.store, Alarms: w.db.warrants, Log: w.log, Signer: key,
		TLS: func(lemf string) *tls.Config { return lemfTLS(p.own, lemf) }, Operator: "BENCH", Element: "mdf", Refresh: 50 * time.Millisecond,
	})
}

// mediate runs a correlator until the pusher ends.
func (p *pusher) mediate(ctx context.Context) error {
	c, err := correlate.New(correlate.Config{
		Bus: p.bus, Tasks: p.db.warrants, Store: p.store, Alarms: p.db.warrants, Log: p.log, Outlet: p.outlet, SegmentBytes: benchPerSegment * benchPacketBytes,
	})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	before := p.stop
	p.stop = func() { stop(); before() }
	p.g.Go(func() error { return c.Run(run) })
	return nil
}

func (p *pusher) end() error {
	p.stop()
	return errors.Join(p.g.Wait(), p.close())
}

// to lets the records go to a LEMF.
func (p *pusher) to(ctx context.Context, hi2, hi3, cert string) error {
	by := func(i int) warrant.Actor { return warrant.Actor{Person: p.people[i], Source: "127.0.0.1"} }
	d, err := p.db.warrants.AddDelivery(ctx, by(3), warrant.Delivery{AgencyID: p.info.AgencyID, HI2: hi2, HI3: hi3, Cert: cert})
	if err != nil {
		return err
	}
	return p.db.warrants.ConfirmDelivery(ctx, by(4), d.AgencyID, d.Number)
}

// benchTraffic makes the PDUs of calls, two packets of each a round.
type benchTraffic struct {
	pdu   x2x3.PDU
	seqs  []uint32
	batch bus.Batch
}

func newTraffic(w *benchWorld, calls int) (*benchTraffic, error) {
	from, to := netip.MustParseAddrPort("127.0.0.2:40000"), netip.MustParseAddrPort("127.0.0.3:40000")
	datagram, format, err := x2x3.AppendDatagram(nil, from, to, make([]byte, benchRTPBytes))
	return &benchTraffic{
		pdu: x2x3.PDU{Type: x2x3.X3, Format: format, XID: w.info.XID, NFID: "bench", HasSequence: true, Payload: datagram}, seqs: make([]uint32, calls),
	}, err
}

// round publishes one look of the tee at its ring: the packets came over the last
// 20 ms, evenly.
func (t *benchTraffic) round(ctx context.Context, b *bus.Bus) error {
	now := time.Now()
	n := 2 * len(t.seqs)
	for i := range n {
		call := i % len(t.seqs)
		t.pdu.Time = now.Add(pushRound * time.Duration(i-n) / time.Duration(n)).UTC()
		t.pdu.Correlation, t.pdu.Sequence, t.pdu.Direction = uint64(call)+1, t.seqs[call], x2x3.FromTarget //nolint:gosec // small
		if i >= len(t.seqs) {
			t.pdu.Direction = x2x3.ToTarget
		}
		t.seqs[call]++
		msg := &t.batch[bus.Partition(t.pdu.XID, t.pdu.Correlation)]
		var err error
		if *msg, err = x2x3.AppendPDU(*msg, &t.pdu); err != nil {
			return err
		}
	}
	return b.PublishAll(ctx, x2x3.X3, &t.batch)
}

// pushLag measures how long 200 calls' packets take from the tap to the LEMF, which
// runs in this process. The wait for the tee's next look is in it.
func pushLag(ctx context.Context, report *bench.Report, seconds int) (err error) {
	p, err := newPusher(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	own, err := pki.LoadOrCreate(filepath.Join(p.dir, "lemf"), "lemf", pki.Spec{CommonName: "LEMF"})
	if err != nil {
		return err
	}
	l, err := lemf.New(lemf.Config{
		HI2: "127.0.0.1:0", HI3: "127.0.0.1:0", TLS: pki.Server(own, pki.Fingerprint(p.own.Certificate[0])), Dir: filepath.Join(p.dir, "lemf"), Log: p.log,
	})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	p.g.Go(func() error { return l.Run(run) })
	defer stop()
	<-l.Ready()
	hi2, hi3 := l.Addrs()
	if err := errors.Join(p.to(ctx, hi2.String(), hi3.String(), pki.Fingerprint(own.Certificate[0])), pause(ctx, pushWarmUp), p.mediate(ctx)); err != nil {
		return err
	}
	traffic, err := newTraffic(p.benchWorld, pushCalls)
	if err != nil {
		return err
	}
	begin := time.Now()
	ticker := time.NewTicker(pushRound)
	defer ticker.Stop()
	for warm := false; time.Since(begin) < pushWarmUp+time.Duration(seconds)*time.Second; <-ticker.C {
		if !warm && time.Since(begin) >= pushWarmUp {
			warm = true
			l.ResetLags()
		}
		if err := traffic.round(ctx, p.bus); err != nil {
			return err
		}
	}
	if err := awaitLEMF(ctx, func() uint64 { return received(l.State()) }, traffic.sent()); err != nil {
		return err
	}
	st := l.State()
	if st.Total > 0 {
		return fmt.Errorf("bench: the LEMF found a fault: %s", st.Faults[0])
	}
	report.Add("push_lag_calls", pushCalls, "calls")
	report.Add("push_lag_pdus", float64(st.Lags.Count()), "PDUs")
	for _, ms := range []int{5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 250, 500, 1000} { // the histogram, cumulative
		report.Add(fmt.Sprintf("push_lag_within_%d_ms", ms), 100*st.Lags.Within(time.Duration(ms)*time.Millisecond), "%")
	}
	for _, q := range []struct {
		name  string
		share float64
	}{{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p999", .999}, {"max", 1}} {
		report.Add("push_lag_"+q.name, float64(st.Lags.Quantile(q.share).Milliseconds()), "ms")
	}
	return nil
}

func received(st lemf.State) (n uint64) {
	for k, c := range st.Sessions {
		if k.Kind == etsi.KindCC {
			n += c.PDUs
		}
	}
	return n
}

func (t *benchTraffic) sent() (n uint64) {
	for _, s := range t.seqs {
		n += uint64(s)
	}
	return n
}

func awaitLEMF(ctx context.Context, got func() uint64, want uint64) error {
	for deadline := time.Now().Add(pushUpTo); got() < want; {
		if time.Now().After(deadline) {
			return fmt.Errorf("bench: the LEMF has %d of %d PDUs", got(), want)
		}
		if err := pause(ctx, benchBacklogLook); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// pushCapacity has a full bus mediated, sealed and pushed to a LEMF in another
// process, and counts this process's processor time.
func pushCapacity(ctx context.Context, report *bench.Report, n int) (err error) {
	p, err := newPusher(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end()) }()
	dir := filepath.Join(p.dir, "lemf")
	cmd := exec.CommandContext(ctx, os.Args[0], "agency", "listen", "--quiet", "--hi2", "127.0.0.1:0", "--hi3", "127.0.0.1:0",
		"--keys", dir, "--dir", filepath.Join(dir, "data"), "--client", pki.Fingerprint(p.own.Certificate[0]))
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start LEMF: %w", err)
	}
	defer func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return errors.New("bench: the LEMF does not listen")
	}
	f := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" ,;\n", r) })
	if len(f) != 7 {
		return errors.New("bench: the LEMF says nothing of where it listens")
	}
	if err := errors.Join(p.to(ctx, f[2], f[4], f[6]), pause(ctx, pushWarmUp)); err != nil {
		return err
	}
	traffic, err := newTraffic(p.benchWorld, pushCalls)
	if err != nil {
		return err
	}
	const whole = pushCalls * benchPerSegment // else the last segments wait for their time
	n = max(1, n/whole) * whole
	for traffic.sent() < uint64(n) { //nolint:gosec // positive
		if err := traffic.round(ctx, p.bus); err != nil {
			return err
		}
	}
	before, start := cpuTime(), time.Now()
	if err := p.mediate(ctx); err != nil {
		return err
	}
	if err := p.drained(ctx); err != nil {
		return err
	}
	took, cpu, sent := time.Since(start), cpuTime()-before, float64(traffic.sent())
	report.Add("push_rate", sent/took.Seconds(), "packets/s")
	report.Add("push_cpu", float64(cpu.Nanoseconds())/sent, "ns/packet")
	report.Add("push_calls_per_core", sent/cpu.Seconds()/benchCallPackets, "calls")
	return nil
}

// drained waits until bus and spools are empty: all is sealed, and confirmed by the
// LEMF.
func (p *pusher) drained(ctx context.Context) error {
	spool, err := p.bus.Spool(ctx, string(p.info.AgencyID)+"-cc", 4<<30)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(benchDrainLimit); ; {
		left, _, err := p.bus.Backlog(ctx)
		if err != nil {
			return err
		}
		waiting, err := spool.Backlog(ctx)
		if err != nil {
			return err
		}
		if left == 0 && waiting.Messages == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("bench: mediation did not finish")
		}
		if err := pause(ctx, benchBacklogLook); err != nil {
			return err
		}
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
