package auditor

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/audit/review"
)

// Acts on the log that one person asks for and another confirms.
func (h *handlers) registerRequests(api huma.API) {
	post := func(path, id, summary string, status int, roles ...auth.Role) huma.Operation {
		o := op(path, id, summary)
		o.Method, o.DefaultStatus, o.Middlewares = http.MethodPost, status, auth.Only(api, roles...)
		return o
	}
	huma.Register(api, post("/unmask", "ask-unmask", "Ask whose pseudonym it is; a second person confirms", http.StatusCreated, auth.Auditor), h.askUnmask)
	huma.Register(api, post("/unmask/{id}/confirm", "confirm-unmask", "Confirm an unmasking as the second person", http.StatusOK, auth.Auditor, auth.Approver), h.confirm(review.Unmask, auth.Auditor, auth.Approver))
	huma.Register(api, op("/unmask", "list-unmaskings", "Who asked for and confirmed whose unmasking"), h.list(review.Unmask, auth.Auditor, auth.Approver))
	huma.Register(api, op("/unmask/{id}", "get-unmask", "The name, for the two who asked and confirmed, while it lasts"), h.unmasked)
	huma.Register(api, post("/erasures", "ask-erasure", "Ask that readable records be taken away; a second person confirms", http.StatusCreated, auth.Drafter, auth.Approver), h.askErasure)
	huma.Register(api, post("/erasures/{id}/confirm", "confirm-erasure", "Confirm an erasure as the second person, which does it", http.StatusOK, auth.Approver), h.confirm(review.Erase, auth.Approver))
	huma.Register(api, op("/erasures", "list-erasures", "Who asked for and confirmed which erasures"), h.list(review.Erase, auth.Auditor, auth.Approver, auth.Drafter))
}

func who(c auth.Caller) review.Who {
	return review.Who{ID: c.Actor(), Role: string(c.Role), Source: c.Source}
}

type requestOutput struct{ Body review.Request }

type requestsOutput struct {
	Body struct {
		Items []review.Request `json:"items"`
	}
}

type requestInput struct {
	ID string `path:"id" maxLength:"64"`
}

func answer(r review.Request, err error) (*requestOutput, error) {
	if err != nil {
		return nil, problem.From(err)
	}
	return &requestOutput{Body: r}, nil
}

type unmaskInput struct {
	Body struct {
		Pseudonym string `json:"pseudonym" minLength:"1" maxLength:"200" doc:"the actor as it stands in an entry"`
		Reason    string `json:"reason" minLength:"1" maxLength:"2000"`
	}
}

func (h *handlers) askUnmask(ctx context.Context, in *unmaskInput) (*requestOutput, error) {
	c, err := auth.Require(ctx, auth.Auditor)
	if err != nil {
		return nil, err
	}
	return answer(h.review.AskUnmask(ctx, who(c), in.Body.Pseudonym, in.Body.Reason))
}

type erasureInput struct {
	Body struct {
		Entries []int64 `json:"entries" minItems:"1" maxItems:"1000" doc:"indexes"`
		Reason  string  `json:"reason" minLength:"1" maxLength:"2000" doc:"the rule that demands it"`
	}
}

func (h *handlers) askErasure(ctx context.Context, in *erasureInput) (*requestOutput, error) {
	c, err := auth.Require(ctx, auth.Drafter, auth.Approver)
	if err != nil {
		return nil, err
	}
	return answer(h.review.AskErase(ctx, who(c), in.Body.Entries, in.Body.Reason))
}

func (h *handlers) confirm(kind review.Kind, roles ...auth.Role) func(context.Context, *requestInput) (*requestOutput, error) {
	return func(ctx context.Context, in *requestInput) (*requestOutput, error) {
		c, err := auth.Require(ctx, roles...)
		if err != nil {
			return nil, err
		}
		return answer(h.review.Confirm(ctx, who(c), kind, in.ID))
	}
}

func (h *handlers) list(kind review.Kind, roles ...auth.Role) func(context.Context, *struct{}) (*requestsOutput, error) {
	return func(ctx context.Context, _ *struct{}) (*requestsOutput, error) {
		if err := h.look(ctx, "audit."+string(kind)+".list", "", roles...); err != nil {
			return nil, err
		}
		all, err := h.review.Requests(ctx, kind)
		if err != nil {
			return nil, problem.From(err)
		}
		out := &requestsOutput{}
		if out.Body.Items = all; all == nil {
			out.Body.Items = []review.Request{}
		}
		return out, nil
	}
}

type unmaskedOutput struct {
	Body struct {
		Request review.Request `json:"request"`
		Name    string         `json:"name" doc:"empty before a second person confirmed, and after until"`
	}
}

func (h *handlers) unmasked(ctx context.Context, in *requestInput) (*unmaskedOutput, error) {
	c, err := auth.Require(ctx, auth.Auditor, auth.Approver)
	if err != nil {
		return nil, err
	}
	out := &unmaskedOutput{}
	out.Body.Request, out.Body.Name, err = h.review.Unmasked(ctx, who(c), in.ID)
	if err != nil {
		return nil, problem.From(err)
	}
	return out, nil
}
