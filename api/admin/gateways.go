package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

// GatewayView is a gateway as the ADMF sees it; it says nothing of Tasks.
type GatewayView struct {
	ID    string    `json:"id"`
	Up    bool      `json:"up"`
	Since time.Time `json:"since"`
}

// FindingView is what one look at a gateway brought.
type FindingView struct {
	Gateway string    `json:"gateway"`
	Up      bool      `json:"up" doc:"it answered"`
	At      time.Time `json:"at"`
	Ordered int       `json:"ordered" doc:"Tasks that ought to run there"`
	Running int       `json:"running" doc:"taps that ran there"`
	Placed  int       `json:"placed" doc:"Tasks that were missing and were pushed"`
	Removed int       `json:"removed" doc:"taps that ran without an order and were removed"`
	Orphans int       `json:"orphans" doc:"of these, those that were nobody's order: frozen and alarmed"`
}

type orphanView struct {
	Gateway       string     `json:"gateway"`
	XID           string     `json:"xid"`
	Kind          string     `json:"kind" enum:"rogue,unlisted,altered,expired,unproven"`
	Media         bool       `json:"media"`
	Targets       []string   `json:"targets" doc:"keyed hashes"`
	Destinations  []string   `json:"destinations"`
	Until         *time.Time `json:"until"`
	Since         *time.Time `json:"since" doc:"when the gateway began it, as it says"`
	LastIntercept *time.Time `json:"last_intercept"`
	X2            int64      `json:"x2_octets"`
	X3            int64      `json:"x3_octets"`
	FoundAt       time.Time  `json:"found_at"`
	RemovedAt     *time.Time `json:"removed_at"`
}

type (
	gatewaysOutput struct {
		Body struct {
			Items []GatewayView `json:"items"`
		}
	}
	findingsOutput struct {
		Body struct {
			Items []FindingView `json:"items"`
		}
	}
	orphansOutput struct {
		Body struct {
			Items []orphanView `json:"items"`
		}
	}
)

func (h *handlers) registerGateways(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/gateways", "list-gateways", "Gateways and whether they answer"), h.listGateways)
	huma.Register(api, op(http.MethodPost, "/reconcile", "reconcile", "Hold warrants, Tasks and gateways against each other now"), h.reconcile)
	huma.Register(api, op(http.MethodGet, "/orphans", "list-orphans", "Taps that were found without an order, as they were found, newest first"), h.listOrphans)
}

func (h *handlers) listGateways(ctx context.Context, _ *struct{}) (*gatewaysOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Store.Record(ctx, read(by, "gateways.read")); err != nil {
		return nil, problem.From(err)
	}
	out := &gatewaysOutput{}
	out.Body.Items = h.cfg.Gateways()
	return out, nil
}

// compliance admits those who may know how many taps there are.
func compliance(ctx context.Context) (warrant.Actor, error) {
	c, err := auth.Require(ctx, auth.Drafter, auth.Approver, auth.Auditor)
	return actor(c), err
}

func (h *handlers) reconcile(ctx context.Context, _ *struct{}) (*findingsOutput, error) {
	c, err := auth.Require(ctx, auth.Drafter, auth.Approver)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Store.Record(ctx, read(actor(c), "reconcile.demand")); err != nil {
		return nil, problem.From(err)
	}
	found, err := h.cfg.Reconcile(ctx)
	if err != nil {
		return nil, problem.New(http.StatusServiceUnavailable, problem.Unavailable, "the comparison did not end: try again later")
	}
	out := &findingsOutput{}
	out.Body.Items = found
	return out, nil
}

func (h *handlers) listOrphans(ctx context.Context, _ *struct{}) (*orphansOutput, error) {
	by, err := compliance(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Store.Record(ctx, read(by, "orphans.read")); err != nil {
		return nil, problem.From(err)
	}
	all, err := h.cfg.Store.Orphans(ctx)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &orphansOutput{}
	out.Body.Items = make([]orphanView, len(all))
	for i, o := range all {
		out.Body.Items[i] = orphanView{
			Gateway: o.Gateway, XID: o.XID.String(), Kind: string(o.Kind), Media: o.Media, Targets: o.Targets, Destinations: o.Destinations,
			Until: maybe(o.Until), Since: maybe(o.Since), LastIntercept: maybe(o.LastIntercept), X2: o.X2, X3: o.X3,
			FoundAt: o.FoundAt, RemovedAt: maybe(o.RemovedAt),
		}
	}
	return out, nil
}

// maybe is a time that may be missing.
func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
