package hi1

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// maxRecords bounds one LIST.
const maxRecords = 256

// errState says that the status tables lack a state: a fault of ours.
var errState = errors.New("hi1: an order stands in a state without a status")

func ruleOf(code uint32) string { return "hi1 " + strconv.FormatUint(uint64(code), 10) }

// act does one action that is no CREATE.
func (s *session) act(ctx context.Context, a hi1.ActionRequest) (hi1.ActionResponse, error) {
	switch {
	case a.Get != nil:
		o, fault, err := s.read(ctx, a.Get.Identifier)
		if fault != nil || err != nil {
			return errorAnswer(a.ID, fault), err
		}
		return hi1.ActionResponse{ID: a.ID, Get: &hi1.Subject{Object: o}}, nil
	case a.List != nil:
		return s.list(ctx, a)
	case a.Update != nil:
		return s.update(ctx, a)
	}
	return s.refused(ctx, "hi1.message", a.ID, "", refuse(codeUnsupported, "DELIVER: not served; records are handed over by TS 102 232-5"))
}

func errorAnswer(id uint32, fault *refusal) hi1.ActionResponse {
	if fault == nil {
		return hi1.ActionResponse{}
	}
	return hi1.ActionResponse{ID: id, Error: fault.info()}
}

func unknown() *refusal {
	return refuse(codeUnknown, "Identifier: there is no such object, or it is not yours")
}

// read gives an object as it now stands; the reading is on the log.
func (s *session) read(ctx context.Context, id hi1.UUID) (hi1.Object, *refusal, error) {
	o, err := s.cfg.Store.Object(ctx, s.by, id)
	if errors.Is(err, warrant.ErrNotFound) {
		return nil, unknown(), nil
	}
	if err != nil {
		return nil, nil, err
	}
	shown, ok := render(s.caller.Agency, o)
	if !ok {
		return nil, nil, errState
	}
	return shown, nil, nil
}

func (s *session) list(ctx context.Context, a hi1.ActionRequest) (hi1.ActionResponse, error) {
	kind := hi1.ObjectType("")
	if e := a.List.ObjectType; e != nil {
		kind = hi1.ObjectType(e.Value)
		if !e.Is(hi1.DictObjectType, e.Value) || kind != hi1.TypeAuthorisation && kind != hi1.TypeTask && kind != hi1.TypeDocument {
			return s.refused(ctx, "hi1.list", a.ID, "", refuse(codeUnsupported, "ObjectType: want ETSI's Authorisation, Task or Document, or leave it out"))
		}
	}
	all, err := s.cfg.Store.Objects(ctx, s.by, kind, a.List.LastChanged, maxRecords)
	if err != nil {
		return hi1.ActionResponse{}, err
	}
	out := &hi1.Records{}
	for _, o := range all {
		out.Records = append(out.Records, hi1.Record{
			ObjectType: *hi1.ETSI(hi1.DictObjectType, string(o.Kind)), Identifier: o.ID, Country: hi1.Country(s.caller.Agency.Country),
			Owner: s.caller.Agency.Name, Generation: o.Generation, LastChanged: o.Changed,
		})
	}
	return hi1.ActionResponse{ID: a.ID, List: out}, nil
}

// update takes an agency's wish to cancel, the only change that is served.
func (s *session) update(ctx context.Context, a hi1.ActionRequest) (hi1.ActionResponse, error) {
	o := a.Update.Object
	id := o.Base().ID
	known, err := s.cfg.Store.Known(ctx, s.by, id)
	switch {
	case errors.Is(err, warrant.ErrNotFound):
		return s.refused(ctx, "hi1.update", a.ID, id, unknown())
	case err != nil:
		return hi1.ActionResponse{}, err
	case o.Type() != known.Object.Type() || !onlyCancels(o):
		return s.refused(ctx, "hi1.update", a.ID, id, refuse(codeChange, "UPDATE: only the DesiredStatus Cancelled of an Authorisation or a Task can be asked for; anything else is a new order"))
	case o.Base().Generation != nil && *o.Base().Generation != known.Generation:
		return s.refused(ctx, "hi1.update", a.ID, id, refuse(codeChange, "Generation: the object has changed meanwhile: GET it again"))
	}
	if _, err := s.cfg.Store.AskCancel(ctx, s.by, id); err != nil {
		return hi1.ActionResponse{}, err
	}
	shown, fault, err := s.read(ctx, id)
	if fault != nil || err != nil {
		return errorAnswer(a.ID, fault), err
	}
	return hi1.ActionResponse{ID: a.ID, Update: &hi1.Result{Identifier: id, Object: shown}}, nil
}

type notificationsInput struct {
	Since  string `query:"since" maxLength:"20" doc:"Ligate-Next of an earlier answer; empty = from the first"`
	Limit  int    `query:"limit" minimum:"1" maximum:"64" default:"64"`
	Accept string `header:"Accept" doc:"application/xml (default) or application/json"`
}

// notifications answers as the message in which we would send them ourselves: a CREATE
// for each NotificationObject.
func (h *handlers) notifications(ctx context.Context, in *notificationsInput) (*messageOutput, error) {
	c, by, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	f, ok := formOf(in.Accept)
	if !ok {
		f, _ = formOf("application/xml")
	}
	all, err := h.cfg.Store.Notifications(ctx, by, pgstore.Page{Limit: in.Limit, After: in.Since})
	if err != nil {
		return nil, problem.From(err)
	}
	if len(all) == 0 {
		return &messageOutput{Status: http.StatusNoContent, ContentType: f.contentType, Next: in.Since}, nil
	}
	s := &session{cfg: h.cfg, caller: c, by: by, now: h.cfg.Now().UTC()}
	transaction := hi1.UUID(all[len(all)-1].ID) // names this answer; the same notifications, the same name
	m := hi1.Message{Header: s.header(hi1.Header{Sender: hi1.Endpoint{Country: hi1.Country(c.Agency.Country), ID: c.Agency.Name}, Transaction: transaction})}
	for i, n := range all {
		o, err := notification(h.cfg.Endpoint, n)
		if err != nil {
			return nil, problem.From(err)
		}
		m.Requests = append(m.Requests, hi1.ActionRequest{ID: uint32(i), Create: &hi1.Subject{Object: o}})
	}
	b, err := f.encode(m)
	if err != nil {
		return nil, problem.From(err)
	}
	return &messageOutput{Status: http.StatusOK, ContentType: f.contentType, Next: all[len(all)-1].Cursor, Body: b}, nil
}

func notification(us hi1.Endpoint, n pgstore.HI1Notification) (*hi1.Notification, error) {
	s, ok := taskStatus(n.Standing)
	if !ok {
		return nil, errState
	}
	details := fmt.Sprintf("Task %s: %s", n.Task, s)
	if reason := why(s, n.Standing); reason != nil {
		details += ": " + reason.Description
	}
	first, isNew := uint32(0), true
	return &hi1.Notification{
		Common: hi1.Common{
			ID: n.ID, Country: us.Country, Owner: us.ID, Generation: &first, Associated: []hi1.UUID{n.Task, n.Authorisation},
			LastChanged: n.Standing.At.Truncate(time.Second),
		},
		Details: details, NotificationType: hi1.ETSI(hi1.DictNotificationType, "General"), New: &isNew, Time: n.Standing.At.Truncate(time.Second),
	}, nil
}
