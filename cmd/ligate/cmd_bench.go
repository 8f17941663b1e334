package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/internal/bench"
	"github.com/ligate/ligate/mediation/correlate"
	"github.com/ligate/ligate/mediation/evidence"
)

type benchCmd struct {
	Relay     benchRelayCmd     `cmd:"" help:"Packets a second and processor time a packet of the media relay."`
	Tee       benchTeeCmd       `cmd:"" help:"The same with 0 %, 10 % and 100 % of the calls tapped, in turn."`
	SIP       benchSIPCmd       `cmd:"" name:"sip" help:"Calls a second through the SIP proxy."`
	Mediation benchMediationCmd `cmd:"" help:"Packets a second through mediation; approval to tap."`
	Store     benchStoreCmd     `cmd:"" help:"Throughput of sealing."`
	Load      benchLoadCmd      `cmd:"" hidden:"" help:"The load process of the measurements."`
}

type benchFlags struct {
	JSON    bool `help:"One JSON object instead of text."`
	Seconds int  `default:"5" help:"Length of each run."`
}

func (f benchFlags) config() bench.Config {
	return bench.Config{
		LoadArgs: []string{"bench", "load"}, Length: time.Duration(f.Seconds) * time.Second,
		Relay: func(r *media.Relay) sipproxy.Relay { return relayAdapter{r} },
	}
}

// show prints the result as JSON or by text.
func (f benchFlags) show(s streams, result any, text func(io.Writer)) error {
	if !f.JSON {
		text(s.out)
		return nil
	}
	return json.NewEncoder(s.out).Encode(result)
}

type benchLoadCmd struct{}

// Run is the load process.
func (c *benchLoadCmd) Run(s streams) error { return bench.Load(os.Stdin, s.out) }

type benchRelayCmd struct {
	benchFlags
	Calls int `default:"200" help:"Calls of 50 packets a second each way."`
}

// Run measures the relay.
func (c *benchRelayCmd) Run(ctx context.Context, s streams) error {
	r, err := bench.Relay(ctx, c.config(), c.Calls, 0)
	if err != nil {
		return err
	}
	return c.show(s, r, func(w io.Writer) {
		fmt.Fprintf(w, "relay      %d calls: %.0f packets/s, %d lost, %.0f ns of processor time a packet, %.0f packets/s a core\n",
			r.Calls, r.PacketsPerS, r.Lost, r.CPUPerPacket, r.PerCore)
	})
}

type benchTeeCmd struct {
	benchFlags
	Calls int `default:"200" help:"Calls of 50 packets a second each way."`
}

// Run measures the relay with the tee, encoding and storing on a real bus.
func (c *benchTeeCmd) Run(ctx context.Context, s streams) error {
	var all []bench.RelayResult
	for _, percent := range []int{0, 10, 100} {
		r, err := bench.Relay(ctx, c.config(), c.Calls, c.Calls*percent/100)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	return c.show(s, all, func(w io.Writer) {
		for _, r := range all {
			fmt.Fprintf(w, "tee        %3d %% of %d calls tapped: %.0f ns of processor time a packet (%.2f × none tapped), %d lost\n",
				100*r.Tapped/r.Calls, r.Calls, r.CPUPerPacket, r.CPUPerPacket/all[0].CPUPerPacket, r.Lost)
		}
	})
}

type benchSIPCmd struct {
	benchFlags
	Window int `default:"50" help:"Calls in the air."`
}

// Run measures the proxy, without and with every call tapped.
func (c *benchSIPCmd) Run(ctx context.Context, s streams) error {
	var all []bench.SIPResult
	for _, tapped := range []bool{false, true} {
		r, err := bench.SIP(ctx, c.config(), c.Window, tapped)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	return c.show(s, all, func(w io.Writer) {
		for i, r := range all {
			fmt.Fprintf(w, "sip        %s: %.0f calls/s, %d failed, %.0f µs of processor time a call\n", []string{"no call tapped   ", "every call tapped"}[i], r.CallsPerS, r.Failed, r.CPUPerCall)
		}
	})
}

type benchMediationCmd struct {
	benchFlags
	Approvals int `default:"20" help:"Warrants that are approved."`
}

type mediationResult struct {
	PacketsPerS   float64 `json:"packets_per_second"`
	ApproveMedian float64 `json:"approve_to_tap_median_ms"`
	ApproveWorst  float64 `json:"approve_to_tap_worst_ms"`
	Approvals     int     `json:"approvals"`
}

// Run measures correlation with sealing, and how long an approval takes to become
// a tap that the gateway confirmed, as the API shows it.
func (c *benchMediationCmd) Run(ctx context.Context, s streams) error {
	perSecond, err := mediate(ctx, 500_000*c.Seconds)
	if err != nil {
		return err
	}
	took, err := approvals(ctx, c.Approvals)
	if err != nil {
		return err
	}
	slices.Sort(took)
	r := mediationResult{PacketsPerS: perSecond, ApproveMedian: millis(took[len(took)/2]), ApproveWorst: millis(took[len(took)-1]), Approvals: len(took)}
	return c.show(s, r, func(w io.Writer) {
		fmt.Fprintf(w, "mediation  %.0f packets/s correlated and sealed\n", r.PacketsPerS)
		fmt.Fprintf(w, "approval   to confirmed tap: median %.0f ms, worst %.0f ms of %d\n", r.ApproveMedian, r.ApproveWorst, r.Approvals)
	})
}

// mediate correlates and seals n packets for a fresh key.
func mediate(ctx context.Context, n int) (perSecond float64, err error) {
	dir, err := os.MkdirTemp("", "ligate-bench-")
	if err != nil {
		return 0, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	keys, err := agency.Keygen(dir, "bench", false)
	if err != nil {
		return 0, err
	}
	return correlate.Bench(ctx, keys.Recipient, 100, n)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// approvals runs a whole ligate and approves n warrants, one after the other.
func approvals(ctx context.Context, n int) (took []time.Duration, err error) {
	dir, err := os.MkdirTemp("", "ligate-bench-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	st := &story{dir: dir, out: io.Discard, began: time.Now()}
	if err := errors.Join(os.Chmod(dir, 0o711), os.MkdirAll(st.path("operator", "logs"), 0o711), st.prepare(ctx)); err != nil {
		return nil, err
	}
	stop, err := st.start(ctx, ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	if err := st.people(ctx); err != nil {
		return nil, err
	}
	ann, errAnn := st.client("ann")
	bob, errBob := st.client("bob")
	if err := errors.Join(errAnn, errBob); err != nil {
		return nil, err
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for i := range n {
		d, err := st.approveOnce(ctx, ann, bob, i, until)
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return took, nil
}

// approveOnce returns the time from the approval's request to the gateway's
// confirmation.
func (st *story) approveOnce(ctx context.Context, ann, bob *apiClient, i int, until time.Time) (time.Duration, error) {
	target := []string{fmt.Sprintf("+493055599%02d", i)}
	var w warrantView
	etag, err := ann.do(ctx, http.MethodPost, warrantsPath, map[string]any{
		"liid": fmt.Sprintf("BENCH-%d", i), "authority": "Court", "reference": "1", "legal_basis": "bench", "agency_id": st.agencyID,
		"targets": target, "scope": "iri+cc", "from": time.Now().UTC(), "until": until,
	}, &w)
	if err != nil {
		return 0, err
	}
	st.warrantID = w.ID
	path := warrantsPath + "/" + w.ID
	if etag, err = ann.do(ctx, http.MethodPost, path+"/submit", nil, &w, header{"If-Match", etag}); err != nil {
		return 0, err
	}
	start := time.Now()
	if _, err := bob.do(ctx, http.MethodPost, path+"/approve", map[string]any{"targets": target, "until": until}, &w, header{"If-Match", etag}); err != nil {
		return 0, err
	}
	err = st.awaitTap(ctx, true)
	return time.Since(start), err
}

type benchStoreCmd struct{ benchFlags }

// Run measures encoding, hashing and sealing of segments.
func (c *benchStoreCmd) Run(s streams) error {
	perSecond, err := evidence.BenchSeal(1000, time.Duration(c.Seconds)*time.Second)
	if err != nil {
		return err
	}
	r := map[string]float64{"seal_octets_per_second": perSecond}
	return c.show(s, r, func(w io.Writer) {
		fmt.Fprintf(w, "seal       %.0f MB/s on one core\n", perSecond/1e6)
	})
}
