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
	Reconcile func(ctx context.Context) ([]FindingView, error) // holds warrants, Tasks and gateways against each other now
	CheckKeys func(recipients []string) error                  // that age recipients are keys
	PurgeLIID func(ctx context.Context, liid li.LIID) error
	Records   records // of what was intercepted: receipts, and what a purge destroyed
	Changed   func()  // what should be tapped may have changed
	Inbox     *Inbox  // orders of agencies; nil = there are none (no HI1)

	// Set by package api where people sign in by other ways than certificates.
	Origin string        // of our pages, for enrolment links
	Idle   time.Duration // after which a session ends
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
	h.registerAlarms(api)
	h.registerGateways(api)
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

// read is the audit entry of a look at something.
func read(by warrant.Actor, action string) audit.Entry {
	return audit.Entry{Actor: string(by.ID), Role: by.Role.String(), Action: action, Result: "done", Source: by.Source}
}
