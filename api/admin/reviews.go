package admin

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant/pgstore"
)

func (h *handlers) registerReviews(api huma.API) {
	const quarter = "/reviews/{quarter}"
	huma.Register(api, reviewing(api, http.MethodPost, "/reviews", "create-review", "Start the review of a quarter that is over: draws the sample"), h.startReview)
	huma.Register(api, op(http.MethodGet, "/reviews", "list-reviews", "Quarterly reviews, newest first"), h.reviews)
	huma.Register(api, op(http.MethodGet, quarter, "get-review", "A review with its sample, results and report"), h.review)
	huma.Register(api, reviewing(api, http.MethodPost, quarter+"/results", "create-review-result", "What was found of an entry of the sample, once"), h.reviewResult)
	huma.Register(api, reviewing(api, http.MethodPost, quarter+"/close", "close-review", "Make the report; refused while an entry has no result"), h.closeReview)
}

type sampledView struct {
	Entry   int64      `json:"entry" doc:"its number on the audit log"`
	Result  string     `json:"result" enum:",agrees,differs"`
	Finding string     `json:"finding"`
	By      string     `json:"by"`
	At      *time.Time `json:"at"`
}

type reviewView struct {
	Quarter    string        `json:"quarter"`
	Population int           `json:"population"`
	Permille   int           `json:"share_permille"`
	Size       int64         `json:"checkpoint_size"`
	Root       string        `json:"checkpoint_root" doc:"base64"`
	Seed       string        `json:"seed" doc:"hexadecimal"`
	StartedBy  string        `json:"started_by"`
	StartedAt  time.Time     `json:"started_at"`
	Open       int           `json:"open" doc:"entries without a result"`
	Sample     []sampledView `json:"sample,omitempty" doc:"of one review, not in lists"`
	Report     *formView     `json:"report,omitempty" doc:"once it is closed"`
}

func showReview(r pgstore.Review) reviewView {
	v := reviewView{
		Quarter: r.Quarter, Population: r.Population, Permille: r.Permille, Size: r.Size, Root: base64.StdEncoding.EncodeToString(r.Root),
		Seed: hex.EncodeToString(r.Seed), StartedBy: string(r.StartedBy), StartedAt: r.StartedAt,
	}
	for _, e := range r.Sample {
		if e.Result == "" {
			v.Open++
		}
	}
	return v
}

func answerReview(r pgstore.Review, err error) (*one[reviewView], error) {
	if err != nil {
		return nil, problem.From(err)
	}
	v := showReview(r)
	for _, e := range r.Sample {
		v.Sample = append(v.Sample, sampledView{Entry: e.Entry, Result: e.Result, Finding: e.Finding, By: string(e.By), At: utc(e.At)})
	}
	if r.Report != nil {
		report, err := showForm(*r.Report)
		if err != nil {
			return nil, problem.From(err)
		}
		v.Report = &report
	}
	return oneOf(v, nil)
}

type startReviewInput struct {
	Body struct {
		Quarter string `json:"quarter" minLength:"1" maxLength:"7" doc:"such as 2026-Q3"`
	}
}

func (h *handlers) startReview(ctx context.Context, in *startReviewInput) (*one[reviewView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerReview(h.cfg.Store.StartReview(ctx, by, in.Body.Quarter))
}

func (h *handlers) reviews(ctx context.Context, _ *struct{}) (*list[reviewView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.Reviews(ctx, by)
	return listOf(all, err, showReview)
}

type quarterInput struct {
	Quarter string `path:"quarter" maxLength:"7"`
}

func (h *handlers) review(ctx context.Context, in *quarterInput) (*one[reviewView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerReview(h.cfg.Store.Review(ctx, by, in.Quarter))
}

type reviewResultInput struct {
	Quarter string `path:"quarter" maxLength:"7"`
	Body    struct {
		Entry   int64  `json:"entry" minimum:"0"`
		Result  string `json:"result" enum:"agrees,differs"`
		Finding string `json:"finding,omitempty" maxLength:"2000" doc:"required with differs; never a target"`
	}
}

func (h *handlers) reviewResult(ctx context.Context, in *reviewResultInput) (*struct{}, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return nil, problem.From(h.cfg.Store.AddReviewResult(ctx, by, in.Quarter, in.Body.Entry, in.Body.Result, in.Body.Finding))
}

func (h *handlers) closeReview(ctx context.Context, in *quarterInput) (*one[reviewView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerReview(h.cfg.Store.CloseReview(ctx, by, in.Quarter))
}
