package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

type warrantView struct {
	ID          string     `json:"id"`
	Version     int        `json:"version"`
	LIID        string     `json:"liid"`
	State       string     `json:"state"`
	Authority   string     `json:"authority"`
	Reference   string     `json:"reference"`
	LegalBasis  string     `json:"legal_basis"`
	AgencyID    string     `json:"agency_id"`
	Targets     []string   `json:"targets" doc:"empty in lists and for who has to type them blind"`
	Scope       string     `json:"scope"`
	From        time.Time  `json:"from"`
	Until       *time.Time `json:"until" doc:"null for who has to type it blind"`
	Notes       string     `json:"notes"`
	Predecessor string     `json:"predecessor"`
	Drafter     string     `json:"drafter"`
	Approver    string     `json:"approver"`
	StoppedAt   *time.Time `json:"stopped_at"`

	Provisional    bool          `json:"provisional" doc:"the original is awaited: what is taken is quarantined"`
	OriginalDue    *time.Time    `json:"original_due,omitempty"`
	OriginalSHA256 string        `json:"original_sha256,omitempty" doc:"of the original that came"`
	Protected      bool          `json:"protected" doc:"a target is protected: a third person has to approve"`
	SecondApprover string        `json:"second_approver,omitempty"`
	PurgeBy        string        `json:"purge_by,omitempty" doc:"who asked for the purge"`
	Successors     []successView `json:"successors,omitempty" doc:"what extends it"`

	Gateways  []gatewayTask `json:"gateways,omitempty" doc:"what each gateway confirmed"`
	CreatedAt time.Time     `json:"created_at"`
	UpdatedAt time.Time     `json:"updated_at"`
}

type successView struct {
	ID    string    `json:"id"`
	LIID  string    `json:"liid"`
	State string    `json:"state"`
	From  time.Time `json:"from"`
}

type gatewayTask struct {
	Gateway string    `json:"gateway"`
	Live    bool      `json:"live"`
	Since   time.Time `json:"since"`
}

// view shows a warrant without its targets.
func view(w warrant.Warrant) warrantView {
	v := warrantView{
		ID: string(w.ID), Version: w.Version, LIID: string(w.LIID), State: w.State.String(), Authority: w.Authority,
		Reference: w.Reference, LegalBasis: w.LegalBasis, AgencyID: string(w.AgencyID), Targets: []string{}, Scope: w.Scope.String(),
		From: w.From, Until: &w.Until, Notes: w.Notes, Predecessor: string(w.Predecessor), Drafter: string(w.Drafter),
		Approver: string(w.Approver), CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, Provisional: w.Provisional, OriginalSHA256: w.Original.SHA256,
		Protected: w.Protected, SecondApprover: string(w.SecondApprover), PurgeBy: string(w.PurgeBy),
	}
	if !w.OriginalDue.IsZero() {
		v.OriginalDue = &w.OriginalDue
	}
	if !w.StoppedAt.IsZero() {
		v.StoppedAt = &w.StoppedAt
	}
	return v
}

// viewFor shows a warrant to one reader. While it waits for approval only its
// drafter sees target and end date: everyone else may be the one to type them.
func viewFor(w warrant.Warrant, by warrant.Actor) warrantView {
	v := view(w)
	if w.State == warrant.Submitted && by.ID != w.Drafter {
		v.Until = nil
		return v
	}
	for _, t := range w.Targets {
		v.Targets = append(v.Targets, reveal(t))
	}
	return v
}

func reveal(id li.Identity) string {
	if id.Kind() == li.E164 {
		return "+" + id.Reveal()
	}
	return id.Reveal()
}

type orderBody struct {
	LIID       string    `json:"liid" minLength:"1" maxLength:"25"`
	Authority  string    `json:"authority" minLength:"1" maxLength:"2000"`
	Reference  string    `json:"reference" minLength:"1" maxLength:"2000" doc:"the authority's file number"`
	LegalBasis string    `json:"legal_basis" minLength:"1" maxLength:"2000"`
	AgencyID   string    `json:"agency_id" minLength:"1" maxLength:"64"`
	Targets    []string  `json:"targets" minItems:"1" maxItems:"50" doc:"E.164 numbers or SIP URIs"`
	Scope      string    `json:"scope" enum:"iri,iri+cc"`
	From       time.Time `json:"from"`
	Until      time.Time `json:"until"`
	Notes      string    `json:"notes,omitempty" maxLength:"2000" doc:"never a target"`

	Provisional bool       `json:"provisional,omitempty" doc:"ordered provisionally: the original is still to come"`
	OriginalDue *time.Time `json:"original_due,omitempty" doc:"when the original must have come; default what the profile says"`
}

func (h *handlers) order(b orderBody) (warrant.Order, error) {
	o := warrant.Order{
		LIID: li.LIID(b.LIID), Authority: b.Authority, Reference: b.Reference, LegalBasis: b.LegalBasis,
		AgencyID: warrant.AgencyID(b.AgencyID), From: b.From.UTC(), Until: b.Until.UTC(), Notes: b.Notes,
		Provisional: b.Provisional,
	}
	if b.OriginalDue != nil {
		o.OriginalDue = b.OriginalDue.UTC()
	}
	var err error
	if o.Targets, err = h.targets(b.Targets); err != nil {
		return warrant.Order{}, err
	}
	o.Scope, err = warrant.ParseScope(b.Scope)
	return o, err
}

func (h *handlers) targets(texts []string) ([]li.Identity, error) {
	targets := make([]li.Identity, len(texts))
	for i, text := range texts {
		id, err := h.cfg.Plan.ParseTarget(text)
		if err != nil {
			return nil, &warrant.RuleError{Rule: warrant.RuleTarget, Reason: err.Error()}
		}
		targets[i] = id
	}
	return targets, nil
}

type warrantOutput struct {
	ETag string `header:"ETag"`
	Body warrantView
}

func (h *handlers) answer(w warrant.Warrant, by warrant.Actor, err error) (*warrantOutput, error) {
	if err != nil {
		return nil, problem.From(err)
	}
	h.cfg.Changed()
	return &warrantOutput{ETag: etag(w.Version), Body: viewFor(w, by)}, nil
}

type createInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body orderBody
}

type extendInput struct {
	ID   string `path:"id" maxLength:"64"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body orderBody
}

type updateInput struct {
	ID      string `path:"id" maxLength:"64"`
	IfMatch string `header:"If-Match"`
	Body    orderBody
}

type listInput struct {
	Target string `query:"target" maxLength:"256" doc:"only warrants that name exactly this number or SIP URI"`
	State  string `query:"state" enum:"draft,submitted,rejected,approved,active,suspended,expired,revoked,purged"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"100"`
}

type listOutput struct {
	Body struct {
		Items []warrantView `json:"items"`
		Next  string        `json:"next"`
	}
}

type actInput struct {
	ID      string `path:"id" maxLength:"64"`
	IfMatch string `header:"If-Match"`
}

type reasonInput struct {
	ID      string `path:"id" maxLength:"64"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000" doc:"stands on the audit log; never a target"`
	}
}

type approveInput struct {
	ID      string `path:"id" maxLength:"64"`
	IfMatch string `header:"If-Match"`
	Body    struct {
		Targets []string  `json:"targets" minItems:"1" maxItems:"50" doc:"typed again from the order"`
		Until   time.Time `json:"until" doc:"typed again from the order"`
	}
}

func (h *handlers) registerWarrants(api huma.API) {
	huma.Register(api, op(http.MethodPost, "/warrants", "create-warrant", "Draft a warrant"), h.create)
	huma.Register(api, op(http.MethodGet, "/warrants", "list-warrants", "Warrants, newest first, without targets"), h.list)
	huma.Register(api, op(http.MethodGet, "/warrants/{id}", "get-warrant", "One warrant"), h.get)
	huma.Register(api, op(http.MethodPatch, "/warrants/{id}", "update-warrant", "Change a draft"), h.update)
	huma.Register(api, op(http.MethodPost, "/warrants/{id}/submit", "submit-warrant", "Hand a draft to the approver"), h.submit)
	huma.Register(api, op(http.MethodPost, "/warrants/{id}/approve", "approve-warrant", "Approve as the second person"), h.approve)
	huma.Register(api, acting(api, http.MethodPost, "/warrants/{id}/extend", "extend-warrant", "Draft a successor by a new order"), h.extend)
	huma.Register(api, op(http.MethodPost, "/warrants/{id}/purge", "purge-warrant", "Destroy what was intercepted; takes two people, one after the other"), h.purge)
	store := h.cfg.Store
	for verb, act := range map[string]func(context.Context, warrant.Actor, warrant.ID, int, string) (warrant.Warrant, error){
		"reject": store.Reject, "suspend": store.Suspend, "resume": store.Resume, "revoke": store.Revoke,
	} {
		huma.Register(api, op(http.MethodPost, "/warrants/{id}/"+verb, verb+"-warrant", verb+" a warrant, with a reason"),
			func(ctx context.Context, in *reasonInput) (*warrantOutput, error) {
				by, v, err := h.begin(ctx, in.IfMatch)
				if err != nil {
					return nil, err
				}
				w, err := act(ctx, by, warrant.ID(in.ID), v, in.Body.Reason)
				return h.answer(w, by, err)
			})
	}
}

// begin says who acts and on which version.
func (h *handlers) begin(ctx context.Context, ifMatch string) (warrant.Actor, int, error) {
	by, err := staff(ctx)
	if err != nil {
		return by, 0, err
	}
	v, err := version(ifMatch)
	return by, v, err
}

func (h *handlers) create(ctx context.Context, in *createInput) (*warrantOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	o, err := h.order(in.Body)
	if err != nil {
		return nil, problem.From(err)
	}
	w, err := h.cfg.Store.CreateDraft(ctx, by, o, in.Key)
	return h.answer(w, by, err)
}

func (h *handlers) extend(ctx context.Context, in *extendInput) (*warrantOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	o, err := h.order(in.Body)
	if err != nil {
		return nil, problem.From(err)
	}
	w, err := h.cfg.Store.Extend(ctx, by, warrant.ID(in.ID), o, in.Key)
	return h.answer(w, by, err)
}

func (h *handlers) list(ctx context.Context, in *listInput) (*listOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, next, err := h.find(ctx, by, in)
	if err != nil {
		return nil, problem.From(err)
	}
	out := &listOutput{}
	out.Body.Items, out.Body.Next = make([]warrantView, len(all)), next
	for i, w := range all {
		out.Body.Items[i] = view(w)
		if w.State == warrant.Submitted && by.ID != w.Drafter {
			out.Body.Items[i].Until = nil
		}
	}
	return out, nil
}

// find lists, or searches where the request names a target.
func (h *handlers) find(ctx context.Context, by warrant.Actor, in *listInput) ([]warrant.Warrant, string, error) {
	page := pgstore.Page{Limit: in.Limit, After: in.Cursor}
	if in.Target == "" {
		return h.cfg.Store.Warrants(ctx, by, in.State, page)
	}
	targets, err := h.targets([]string{in.Target})
	if err != nil {
		return nil, "", err
	}
	return h.cfg.Store.WarrantsOn(ctx, by, targets[0], in.State, page)
}

func (h *handlers) get(ctx context.Context, in *idInput) (*warrantOutput, error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	w, err := h.cfg.Store.Warrant(ctx, by, warrant.ID(in.ID))
	if err != nil {
		return nil, problem.From(err)
	}
	out := &warrantOutput{ETag: etag(w.Version), Body: viewFor(w, by)}
	confirmed, err := h.cfg.Store.Confirmations(ctx, w.ID)
	if err != nil {
		return nil, problem.From(err)
	}
	for _, c := range confirmed {
		out.Body.Gateways = append(out.Body.Gateways, gatewayTask{Gateway: c.Gateway, Live: c.Live, Since: c.Since.UTC()})
	}
	after, err := h.cfg.Store.Successors(ctx, w.ID)
	if err != nil {
		return nil, problem.From(err)
	}
	for _, s := range after {
		out.Body.Successors = append(out.Body.Successors, successView{ID: string(s.ID), LIID: string(s.LIID), State: s.State, From: s.From.UTC()})
	}
	return out, nil
}

func (h *handlers) update(ctx context.Context, in *updateInput) (*warrantOutput, error) {
	by, v, err := h.begin(ctx, in.IfMatch)
	if err != nil {
		return nil, err
	}
	o, err := h.order(in.Body)
	if err != nil {
		return nil, problem.From(err)
	}
	w, err := h.cfg.Store.Update(ctx, by, warrant.ID(in.ID), v, o)
	return h.answer(w, by, err)
}

func (h *handlers) submit(ctx context.Context, in *actInput) (*warrantOutput, error) {
	by, v, err := h.begin(ctx, in.IfMatch)
	if err != nil {
		return nil, err
	}
	w, err := h.cfg.Store.Submit(ctx, by, warrant.ID(in.ID), v)
	return h.answer(w, by, err)
}

func (h *handlers) approve(ctx context.Context, in *approveInput) (*warrantOutput, error) {
	by, v, err := h.begin(ctx, in.IfMatch)
	if err != nil {
		return nil, err
	}
	targets, err := h.targets(in.Body.Targets)
	if err != nil {
		return nil, problem.From(err)
	}
	w, err := h.cfg.Store.Approve(ctx, by, warrant.ID(in.ID), v, warrant.Retyped{Targets: targets, Until: in.Body.Until})
	return h.answer(w, by, err)
}

// purge is called twice, by two people: the first asks, the second destroys.
func (h *handlers) purge(ctx context.Context, in *reasonInput) (*warrantOutput, error) {
	by, v, err := h.begin(ctx, in.IfMatch)
	if err != nil {
		return nil, err
	}
	w, err := h.cfg.Store.Warrant(ctx, by, warrant.ID(in.ID))
	if err != nil {
		return nil, problem.From(err)
	}
	if w.State == warrant.Purged && by.Role == warrant.Approver { // decided by two; what a crash left is destroyed now
		return h.destroy(ctx, w, by)
	}
	if w.PurgeBy == "" {
		w, err = h.cfg.Store.RequestPurge(ctx, by, w.ID, v, in.Body.Reason)
		return h.answer(w, by, err)
	}
	if w, err = h.cfg.Store.Purge(ctx, by, w.ID, v, in.Body.Reason); err != nil {
		return nil, problem.From(err)
	}
	return h.destroy(ctx, w, by)
}

func (h *handlers) destroy(ctx context.Context, w warrant.Warrant, by warrant.Actor) (*warrantOutput, error) {
	if err := h.cfg.PurgeLIID(ctx, w.LIID); err != nil {
		return nil, problem.From(err)
	}
	return h.answer(w, by, nil)
}
