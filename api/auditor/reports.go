package auditor

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/audit/review"
)

func (h *handlers) registerReports(api huma.API) {
	huma.Register(api, op("/reports/{report}", "get-report", "A report over a period, as CSV or JSON lines"), h.report)
	huma.Register(api, op("/comparison", "get-comparison", "What was tapped beside what was ordered, from independent sources"), h.comparison)
}

type reportInput struct {
	Report  string    `path:"report" enum:"accesses-by-person,accesses-by-warrant,outside-hours,refused,late-ended,unacknowledged,retention-overdue"`
	From    time.Time `query:"from" doc:"default 92 days before until"`
	Until   time.Time `query:"until" doc:"default now"`
	Who     string    `query:"who" maxLength:"200" doc:"pseudonym"`
	What    string    `query:"what" maxLength:"200" doc:"action"`
	Warrant string    `query:"warrant" maxLength:"64"`
	Grace   string    `query:"grace" pattern:"^([0-9]{1,6}[smh])?$" doc:"such as 48h: what is older (later) counts; default 1s for late-ended, 24h for unacknowledged, 4320h for retention-overdue"`
	Format  string    `query:"format" enum:"csv,jsonl" default:"jsonl"`
}

// quarter is how far a report goes back by default.
const quarter = 92 * 24 * time.Hour

func (in *reportInput) filter() review.Filter {
	if in.Until.IsZero() {
		in.Until = time.Now()
	}
	if in.From.IsZero() {
		in.From = in.Until.Add(-quarter)
	}
	grace, _ := time.ParseDuration(in.Grace) // the pattern admits nothing else
	return review.Filter{From: in.From, Until: in.Until, Who: in.Who, What: in.What, Warrant: in.Warrant, Grace: grace}
}

func (h *handlers) report(ctx context.Context, in *reportInput) (*huma.StreamResponse, error) {
	if err := h.look(ctx, "audit.report", in.Report); err != nil {
		return nil, err
	}
	t, err := h.review.Report(ctx, in.Report, in.filter())
	if err != nil {
		return nil, problem.From(err)
	}
	kind, write := "application/jsonl", t.JSONLines
	if in.Format == "csv" {
		kind, write = "text/csv; charset=utf-8", t.CSV
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", kind)
		_ = write(hc.BodyWriter()) // the client went away
	}}, nil
}

type comparisonInput struct {
	Warrant string `query:"warrant" maxLength:"64"`
}

type comparisonOutput struct {
	Body struct {
		Items []review.Comparison `json:"items"`
	}
}

func (h *handlers) comparison(ctx context.Context, in *comparisonInput) (*comparisonOutput, error) {
	if err := h.look(ctx, "audit.comparison", ""); err != nil {
		return nil, err
	}
	all, err := h.review.Compare(ctx, in.Warrant)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &comparisonOutput{}
	out.Body.Items = all
	return out, nil
}
