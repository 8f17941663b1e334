package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/internal/bench"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/admf"
)

type benchTaskingCmd struct {
	benchFlags

	Tasks     int `default:"1000" help:"Tasks that are active already; 10000 takes some minutes to order."`
	Gateways  int `default:"2" help:"Gateways, each an X1 server over mutual TLS."`
	Approvals int `default:"100" help:"Warrants that are approved and revoked, one after the other."`
}

// Run measures from an approval to the tap on every gateway, and from a revocation to
// silence.
func (c *benchTaskingCmd) Run(ctx context.Context, s streams) error {
	if c.Tasks < 0 || c.Gateways < 1 || c.Approvals < 1 {
		return usagef("want --tasks from 0, --gateways and --approvals from 1")
	}
	r, err := c.measure(ctx, s.err)
	return c.show(s, r, err)
}

func (c *benchTaskingCmd) measure(ctx context.Context, progress io.Writer) (report *bench.Report, err error) {
	w, err := newBenchWorld(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	run, cancel := context.WithCancel(ctx)
	group, run := errgroup.WithContext(run)
	defer func() { cancel(); err = errors.Join(err, group.Wait()) }()
	points, elements, err := w.points(run, group, c.Gateways)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.seed(ctx, c.Tasks); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "%d warrants ordered in %.0f s\n", c.Tasks, time.Since(began).Seconds())
	tasker, err := admf.New(admf.Config{Store: w.db.warrants, Gateways: elements, Log: w.log})
	if err != nil {
		return nil, err
	}
	group.Go(func() error { return tasker.Run(run) })
	group.Go(func() error {
		return w.db.warrants.Listen(run, tasker.Nudge)
	})
	began = time.Now()
	for _, p := range points {
		if err := p.await(ctx, func() bool { return len(p.Tasks()) >= c.Tasks }); err != nil {
			return nil, err
		}
	}
	filled := time.Since(began)
	report = bench.NewReport("tasking")
	report.Add("active_tasks", float64(len(points[0].Tasks())), "tasks")
	report.Add("gateways", float64(len(points)), "gateways")
	report.Add("refill_of_empty_gateways", filled.Seconds(), "s")
	return report, w.turns(ctx, report, points, c.Approvals)
}

// point is a gateway as X1 sees it.
type point struct{ *tasking.Index }

// await waits until something holds, looking at each change.
func (p point) await(ctx context.Context, holds func() bool) error {
	for {
		changed := p.Changed()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// points starts gateways' X1 servers and returns them with what an ADMF needs of them.
func (w *benchWorld) points(ctx context.Context, group *errgroup.Group, n int) ([]point, []admf.Gateway, error) {
	own, err := pki.LoadOrCreate(w.dir, "admf", pki.Spec{CommonName: "bench ADMF", URI: x1.ADMFBinding(admfID)})
	if err != nil {
		return nil, nil, err
	}
	var points []point
	var elements []admf.Gateway
	for i := range n {
		id := fmt.Sprintf("gw-%d", i+1)
		ne, err := pki.LoadOrCreate(w.dir, id, pki.Spec{CommonName: id, Names: []string{"127.0.0.1"}, URI: x1.NEBinding(id)})
		if err != nil {
			return nil, nil, err
		}
		index, err := tasking.New(tasking.Config{})
		if err != nil {
			return nil, nil, err
		}
		server, err := tasking.NewServer(tasking.ServerConfig{NEID: id, ADMFID: admfID, Tasks: index})
		if err != nil {
			return nil, nil, err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, fmt.Errorf("listen: %w", err)
		}
		srv := &http.Server{Handler: server, ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(w.log.Handler(), slog.LevelDebug)}
		group.Go(func() error { return index.Run(ctx) })
		group.Go(func() error {
			stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
			defer stop()
			if err := srv.Serve(tls.NewListener(l, pki.Server(ne, pki.Fingerprint(own.Certificate[0])))); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		client, err := x1.NewClient(x1.ClientConfig{
			URL: "https://" + l.Addr().String() + x1.PathNE, ADMFID: admfID, NEID: id,
			HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: pki.Client(own, pki.Fingerprint(ne.Certificate[0]))}},
		})
		if err != nil {
			return nil, nil, err
		}
		points, elements = append(points, point{index}), append(elements, admf.Gateway{ID: id, Client: client})
	}
	return points, elements, nil
}

const seeders = 4

// seed has warrants ordered, approved and begun, as people would.
func (w *benchWorld) seed(ctx context.Context, n int) error {
	group, within := errgroup.WithContext(ctx)
	for part := range seeders {
		group.Go(func() error {
			for i := part; i < n; i += seeders {
				o, err := w.drafted(within, fmt.Sprintf("SEED-%d", i), fmt.Sprintf("+4930%07d", i))
				if err == nil {
					_, err = w.approved(within, o)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return w.db.warrants.Due(ctx, time.Now())
}

func (w *benchWorld) by(i int) warrant.Actor {
	return warrant.Actor{Person: w.people[i], Source: "127.0.0.1"}
}

// drafted is a warrant that waits for its approver.
func (w *benchWorld) drafted(ctx context.Context, liid, number string) (warrant.Warrant, error) {
	target, err := li.NumberPlan{}.ParseTarget(number)
	if err != nil {
		return warrant.Warrant{}, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	order, err := w.db.warrants.CreateDraft(ctx, w.by(0), warrant.Order{
		LIID: li.LIID(liid), Authority: "Court", Reference: "1", LegalBasis: "bench", AgencyID: w.info.AgencyID,
		Targets: []li.Identity{target}, Scope: warrant.IRIAndCC, From: now.Add(-time.Hour), Until: now.Add(12 * time.Hour),
	}, "")
	if err != nil {
		return warrant.Warrant{}, err
	}
	return w.db.warrants.Submit(ctx, w.by(0), order.ID, order.Version)
}

func (w *benchWorld) approved(ctx context.Context, o warrant.Warrant) (warrant.Warrant, error) {
	return w.db.warrants.Approve(ctx, w.by(1), o.ID, o.Version, warrant.Retyped{Targets: o.Targets, Until: o.Until})
}

// turns approves and revokes, one warrant after the other.
func (w *benchWorld) turns(ctx context.Context, report *bench.Report, points []point, n int) error {
	var on, off []float64
	for i := range n {
		o, err := w.drafted(ctx, fmt.Sprintf("TURN-%d", i), fmt.Sprintf("+4989%07d", i))
		if err != nil {
			return err
		}
		target := o.Targets[0]
		began := time.Now()
		if o, err = w.approved(ctx, o); err != nil {
			return err
		}
		for _, p := range points {
			if err := p.await(ctx, func() bool { return len(p.Match(target)) == 1 }); err != nil {
				return err
			}
		}
		on = append(on, milliseconds(began))
		if o, err = w.db.warrants.Warrant(ctx, w.by(0), o.ID); err != nil { // it has begun: another version
			return err
		}
		began = time.Now()
		if _, err := w.db.warrants.Revoke(ctx, w.by(0), o.ID, o.Version, "bench"); err != nil {
			return err
		}
		for _, p := range points {
			if err := p.await(ctx, func() bool { return len(p.Match(target)) == 0 }); err != nil {
				return err
			}
		}
		off = append(off, milliseconds(began))
	}
	histogram(report, "approve_to_active", on)
	histogram(report, "revoke_to_silent", off)
	return nil
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1e3 }

// histogram reports how many fell below each bound, and the usual shares.
func histogram(r *bench.Report, name string, values []float64) {
	slices.Sort(values)
	share := func(p float64) float64 { return values[min(int(p*float64(len(values))), len(values)-1)] }
	r.Add(name+"_p50", share(0.50), "ms")
	r.Add(name+"_p90", share(0.90), "ms")
	r.Add(name+"_p99", share(0.99), "ms")
	r.Add(name+"_worst", values[len(values)-1], "ms")
	for _, bound := range []float64{10, 20, 50, 100, 200, 500, 1000} {
		under, _ := slices.BinarySearch(values, bound)
		r.Add(fmt.Sprintf("%s_under_%.0f_ms", name, bound), float64(under), "warrants")
	}
}
