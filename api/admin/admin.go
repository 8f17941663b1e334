package admin

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// Config is what the admin API needs; fields without a note are required.
type Config struct {
	Store     *pgstore.Store
	Plan      li.NumberPlan
	Gateways  func() []GatewayView
	CheckKeys func(recipients []string) error // that age recipients are keys
	PurgeLIID func(ctx context.Context, liid li.LIID) error
	Records   records // of what was intercepted: receipts, and what a purge destroyed
	Changed   func()  // what should be tapped may have changed
	Inbox     *Inbox  // orders of agencies; nil = there are none (no HI1)

	// Set by package api where people sign in by other ways than certificates.
	Origin string        // of our pages, for enrolment links
	Idle   time.Duration // after which a session ends
}

// GatewayView is a gateway as the ADMF sees it; it says nothing of Tasks.
type GatewayView struct {
	ID    string    `json:"id"`
	Up    bool      `json:"up"`
	Since time.Time `json:"since"`
}

type handlers struct{ cfg Config }

// Register adds the operations to the API.
func Register(api huma.API, cfg Config) {
	h := &handlers{cfg: cfg}
	h.registerWarrants(api)
	h.registerLife(api)
	h.registerRecords(api)
	h.registerPeople(api)
	if cfg.Origin != "" {
		h.registerAccess(api)
		h.registerTokens(api)
	}
	h.registerDelivery(api)
	h.registerOperations(api)
	if cfg.Inbox != nil {
		h.registerInbox(api)
	}
}

// actor turns the caller into the domain's actor.
func actor(c auth.Caller) warrant.Actor { return warrant.Actor{Person: c.Person, Source: c.Source} }

// staff admits the operator's people; the domain decides what each may do.
func staff(ctx context.Context) (warrant.Actor, error) {
	c, err := auth.Require(ctx, auth.Drafter, auth.Approver, auth.Auditor, auth.Sysadmin)
	return actor(c), err
}

func op(method, path, id, summary string) huma.Operation {
	o := huma.Operation{Method: method, Path: "/admin/v1" + path, OperationID: id, Summary: summary, Tags: []string{"admin"}}
	if method == http.MethodPost && id != "approve-warrant" && strings.HasPrefix(id, "create") {
		o.DefaultStatus = http.StatusCreated
	}
	return o
}

// acting is op for who drafts or approves only: nobody else learns what there is.
func acting(api huma.API, method, path, id, summary string) huma.Operation {
	o := op(method, path, id, summary)
	o.Middlewares = auth.Only(api, auth.Drafter, auth.Approver)
	return o
}

// version reads an If-Match header: the ETag of the version that was seen.
func version(ifMatch string) (int, error) {
	if ifMatch == "" {
		return 0, problem.New(http.StatusPreconditionRequired, problem.Precondition, "send If-Match with the ETag of the version that you read")
	}
	n, err := strconv.Atoi(strings.Trim(ifMatch, `"v`))
	if err != nil || n < 1 {
		return 0, problem.New(http.StatusBadRequest, problem.BadRequest, "If-Match: want the ETag of the version that you read")
	}
	return n, nil
}

func etag(version int) string { return `"v` + strconv.Itoa(version) + `"` }

func (h *handlers) registerOperations(api huma.API) {
	type gateways struct {
		Body struct {
			Items []GatewayView `json:"items"`
		}
	}
	huma.Register(api, op(http.MethodGet, "/gateways", "list-gateways", "Gateways and whether they answer"),
		func(ctx context.Context, _ *struct{}) (*gateways, error) {
			by, err := staff(ctx)
			if err != nil {
				return nil, err
			}
			if err := h.cfg.Store.Record(ctx, read(by, "gateways.read")); err != nil {
				return nil, problem.From(err)
			}
			out := &gateways{}
			out.Body.Items = h.cfg.Gateways()
			return out, nil
		})
	huma.Register(api, op(http.MethodPost, "/alarms/{id}/close", "close-alarm", "Close an alarm, saying what was found and done"), h.settle)
	type alarms struct {
		Body struct {
			Items []alarmView `json:"items"`
		}
	}
	huma.Register(api, op(http.MethodGet, "/alarms", "list-alarms", "Alarms, open ones first"),
		func(ctx context.Context, _ *struct{}) (*alarms, error) {
			c, err := auth.Require(ctx, auth.Drafter, auth.Approver, auth.Auditor)
			if err != nil {
				return nil, err
			}
			if err := h.cfg.Store.Record(ctx, read(actor(c), "alarms.read")); err != nil {
				return nil, problem.From(err)
			}
			all, err := h.cfg.Store.Alarms(ctx)
			if err != nil {
				return nil, problem.From(err)
			}
			out := &alarms{}
			out.Body.Items = make([]alarmView, len(all))
			for i, a := range all {
				out.Body.Items[i] = alarmView(a)
			}
			return out, nil
		})
}

type settleInput struct {
	ID   int64 `path:"id"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000" doc:"what was found and done; never a target"`
	}
}

func (h *handlers) settle(ctx context.Context, in *settleInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.SettleAlarm(ctx, by, in.ID, in.Body.Reason))
}

type alarmView struct {
	ID       int64      `json:"id"`
	Kind     string     `json:"kind"`
	Object   string     `json:"object"`
	OpenedAt time.Time  `json:"opened_at"`
	ClosedAt *time.Time `json:"closed_at"`
}

// read is the audit entry of a look at something.
func read(by warrant.Actor, action string) audit.Entry {
	return audit.Entry{Actor: string(by.ID), Role: by.Role.String(), Action: action, Result: "done", Source: by.Source}
}
