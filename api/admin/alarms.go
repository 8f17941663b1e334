package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant/pgstore"
)

type alarmView struct {
	ID       int64      `json:"id"`
	Kind     string     `json:"kind"`
	Object   string     `json:"object" doc:"what it is about: a gateway, an XID, a warrant's id; never a target"`
	State    string     `json:"state" enum:"open,acknowledged,closed"`
	OpenedAt time.Time  `json:"opened_at"`
	AckedAt  *time.Time `json:"acknowledged_at"`
	AckedBy  string     `json:"acknowledged_by,omitempty"`
	AckNote  string     `json:"acknowledgement_note,omitempty"`
	ClosedAt *time.Time `json:"closed_at"`
	ClosedBy string     `json:"closed_by,omitempty" doc:"empty: ligate itself, because it was over"`
	Note     string     `json:"note,omitempty" doc:"what was found and done"`
	FollowUp bool       `json:"follow_up" doc:"only a person closes it"`
}

func viewAlarm(a pgstore.Alarm) alarmView {
	v := alarmView{
		ID: a.ID, Kind: a.Kind, Object: a.Object, State: "open", OpenedAt: a.OpenedAt.UTC(), AckedAt: a.AckedAt, AckedBy: a.AckedBy, AckNote: a.AckNote,
		ClosedAt: a.ClosedAt, ClosedBy: a.ClosedBy, Note: a.Note, FollowUp: a.FollowUp,
	}
	switch {
	case a.ClosedAt != nil:
		v.State = "closed"
	case a.AckedAt != nil:
		v.State = "acknowledged"
	}
	return v
}

type (
	alarmsInput struct {
		Kind   string `query:"kind" maxLength:"64"`
		State  string `query:"state" enum:"open,acknowledged,closed"`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		Cursor string `query:"cursor" maxLength:"32"`
	}
	alarmsOutput struct {
		Body struct {
			Items []alarmView `json:"items"`
			Next  string      `json:"next,omitempty"`
		}
	}
	alarmAckInput struct {
		ID   int64 `path:"id" minimum:"1"`
		Body struct {
			Note string `json:"note,omitempty" maxLength:"2000" doc:"who looks into it, what is suspected; never a target"`
		}
	}
	alarmCloseInput struct {
		ID   int64 `path:"id" minimum:"1"`
		Body struct {
			Note   string `json:"note,omitempty" maxLength:"2000" doc:"what was found and done; never a target"`
			Reason string `json:"reason,omitempty" maxLength:"2000" deprecated:"true" doc:"the older name of note"`
		}
	}
	alarmOutput struct{ Body alarmView }
)

func (h *handlers) registerAlarms(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/alarms", "list-alarms", "Alarms, newest first"), h.listAlarms)
	huma.Register(api, op(http.MethodPost, "/alarms/{id}/ack", "acknowledge-alarm", "Say that you have seen an alarm and look into it"), h.ackAlarm)
	huma.Register(api, op(http.MethodPost, "/alarms/{id}/close", "close-alarm", "Close an alarm, saying what was found and done"), h.closeAlarm)
}

func (h *handlers) listAlarms(ctx context.Context, in *alarmsInput) (*alarmsOutput, error) {
	by, err := compliance(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.cfg.Store.Record(ctx, read(by, "alarms.read")); err != nil {
		return nil, problem.From(err)
	}
	all, next, err := h.cfg.Store.Alarms(ctx, pgstore.AlarmFilter{Kind: in.Kind, State: in.State}, pgstore.Page{Limit: in.Limit, After: in.Cursor})
	if err != nil {
		return nil, problem.From(err)
	}
	out := &alarmsOutput{}
	out.Body.Next = next
	out.Body.Items = make([]alarmView, len(all))
	for i, a := range all {
		out.Body.Items[i] = viewAlarm(a)
	}
	return out, nil
}

func (h *handlers) ackAlarm(ctx context.Context, in *alarmAckInput) (*alarmOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	a, err := h.cfg.Store.AckAlarm(ctx, by, in.ID, in.Body.Note)
	if err != nil {
		return nil, problem.From(err)
	}
	return &alarmOutput{Body: viewAlarm(a)}, nil
}

func (h *handlers) closeAlarm(ctx context.Context, in *alarmCloseInput) (*alarmOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	note := in.Body.Note
	if note == "" {
		note = in.Body.Reason
	}
	a, err := h.cfg.Store.SettleAlarm(ctx, by, in.ID, note)
	if err != nil {
		return nil, problem.From(err)
	}
	return &alarmOutput{Body: viewAlarm(a)}, nil
}
