package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/ligate/ligate/internal/bench"
)

// liveEvery is how often the API is asked whether the gateway has confirmed.
const liveEvery = 2 * time.Millisecond

// benchApprovals approves n warrants in a whole ligate, one after the other: HTTPS
// API, database, ADMF, X1 over mutual TLS, gateway and back.
func benchApprovals(ctx context.Context, report *bench.Report, n int) (err error) {
	dir, err := benchDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	st := &story{dir: dir, out: io.Discard, began: time.Now()}
	if err := errors.Join(os.MkdirAll(st.path("operator", "logs"), 0o711), st.prepare(ctx)); err != nil { //nolint:gosec // Postgres's user passes through
		return err
	}
	stop, err := st.start(ctx, ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	if err := st.people(ctx); err != nil {
		return err
	}
	took, err := st.approveAll(ctx, n)
	if err != nil {
		return err
	}
	report.Add("approve_to_tap_median", bench.Median(took), "ms")
	report.Add("approve_to_tap_worst", slices.Max(took), "ms")
	report.Add("approvals", float64(n), "warrants")
	return nil
}

// benchDir makes a folder that Postgres's own user can pass through.
func benchDir() (string, error) {
	dir, err := os.MkdirTemp("", "ligate-bench-")
	if err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // see above
		return "", fmt.Errorf("make folder: %w", err)
	}
	return dir, nil
}

// approveAll returns the milliseconds of each approval.
func (st *story) approveAll(ctx context.Context, n int) ([]float64, error) {
	ann, errAnn := st.client("ann")
	bob, errBob := st.client("bob")
	if err := errors.Join(errAnn, errBob); err != nil {
		return nil, err
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	took := make([]float64, 0, n)
	for i := range n {
		d, err := st.approveOnce(ctx, ann, bob, i, until)
		if err != nil {
			return nil, err
		}
		took = append(took, float64(d.Microseconds())/1e3)
	}
	return took, nil
}

// approveOnce returns the time from the approval's request to the gateway's
// confirmation.
func (st *story) approveOnce(ctx context.Context, ann, bob *apiClient, i int, until time.Time) (time.Duration, error) {
	target := []string{fmt.Sprintf("+4930555%05d", i)}
	var w warrantView
	etag, err := ann.do(ctx, http.MethodPost, warrantsPath, map[string]any{
		"liid": fmt.Sprintf("BENCH-%d", i), "authority": "Court", "reference": "1", "legal_basis": "bench", "agency_id": st.agencyID,
		"targets": target, "scope": "iri+cc", "from": time.Now().UTC(), "until": until,
	}, &w)
	if err != nil {
		return 0, err
	}
	path := warrantsPath + "/" + w.ID
	if etag, err = ann.do(ctx, http.MethodPost, path+"/submit", nil, &w, header{"If-Match", etag}); err != nil {
		return 0, err
	}
	start := time.Now()
	if _, err := bob.do(ctx, http.MethodPost, path+"/approve", map[string]any{"targets": target, "until": until}, &w, header{"If-Match", etag}); err != nil {
		return 0, err
	}
	err = awaitLive(ctx, ann, path)
	return time.Since(start), err
}

// awaitLive waits until the one gateway has confirmed the tap.
func awaitLive(ctx context.Context, ann *apiClient, path string) error {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		var w struct {
			Gateways []struct {
				Live bool `json:"live"`
			} `json:"gateways"`
		}
		if _, err := ann.do(ctx, http.MethodGet, path, nil, &w); err != nil {
			return err
		}
		if len(w.Gateways) == 1 && w.Gateways[0].Live {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
