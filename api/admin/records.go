package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/form"
	"github.com/ligate/ligate/warrant/pgstore"
)

// records is what the evidence store knows of an intercept.
type records interface {
	Receipts(ctx context.Context, liid li.LIID) ([]evidence.Receipt, error)
	Destroyed(ctx context.Context, liid li.LIID) ([]evidence.Destroyed, error)
}

func (h *handlers) registerRecords(api huma.API) {
	const of = "/warrants/{id}"
	huma.Register(api, op(http.MethodGet, of+"/tap-intervals", "list-tap-intervals", "When the tap of a warrant was allowed"), h.tapIntervals)
	huma.Register(api, op(http.MethodGet, of+"/receipts", "list-receipts", "What the agency confirmed to have"), h.receipts)
	huma.Register(api, op(http.MethodGet, of+"/purge-record", "get-purge-record", "Who destroyed what, when, by which rule; hashes of what is gone"), h.purgeRecord)
	huma.Register(api, op(http.MethodGet, of+"/retention", "get-retention", "How long each kind of record is kept"), h.retention)
	huma.Register(api, acting(api, http.MethodPost, "/certifications", "create-certification", "Certify an interception (47 CFR 1.20004)"), h.certify)
	huma.Register(api, op(http.MethodGet, "/certifications", "list-certifications", "Certifications, newest first"), h.certifications)
	huma.Register(api, op(http.MethodGet, "/certifications/{id}", "get-certification", "A certification with its text, to be signed"), h.certification)
	h.registerIncidents(api)
	h.registerOutages(api)
	h.registerReviews(api)
}

// reviewing is op for auditors only.
func reviewing(api huma.API, method, path, id, summary string) huma.Operation {
	o := op(method, path, id, summary)
	o.Middlewares = auth.Only(api, auth.Auditor)
	return o
}

// formView is a form with what a page shows of it.
type formView struct {
	Name string          `json:"name"`
	Text string          `json:"text" doc:"the form as plain text"`
	Form json.RawMessage `json:"form" doc:"the form itself"`
}

func showForm(f form.Form) (formView, error) {
	d, err := form.Render(f)
	if err != nil {
		return formView{}, err
	}
	text, err := d.Text()
	return formView{Name: d.Name, Text: text, Form: d.JSON}, err
}

// list is a body of items; none is an empty list.
type list[T any] struct {
	Body struct {
		Items []T `json:"items"`
	}
}

func listOf[S, T any](all []S, err error, show func(S) T) (*list[T], error) {
	if err != nil {
		return nil, problem.From(err)
	}
	out := &list[T]{}
	out.Body.Items = make([]T, len(all))
	for i, s := range all {
		out.Body.Items[i] = show(s)
	}
	return out, nil
}

type one[T any] struct{ Body T }

func oneOf[T any](v T, err error) (*one[T], error) {
	if err != nil {
		return nil, problem.From(err)
	}
	return &one[T]{Body: v}, nil
}

type intervalView struct {
	Began time.Time  `json:"began"`
	Ended *time.Time `json:"ended" doc:"null: it runs"`
}

func (h *handlers) tapIntervals(ctx context.Context, in *idInput) (*list[intervalView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.TapIntervals(ctx, by, warrant.ID(in.ID))
	return listOf(all, err, func(i pgstore.TapInterval) intervalView {
		return intervalView{Began: i.Began.UTC(), Ended: utc(i.Ended)}
	})
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

type receiptView struct {
	CIN         uint32    `json:"cin"`
	ChainHead   string    `json:"chain_head" doc:"up to which the agency has the session"`
	Segments    int       `json:"segments"`
	Person      string    `json:"person"`
	Certificate string    `json:"certificate"`
	At          time.Time `json:"at"`
}

func (h *handlers) receipts(ctx context.Context, in *idInput) (*list[receiptView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	w, err := h.cfg.Store.RecordsOf(ctx, by, warrant.ID(in.ID), "warrant.receipts")
	if err != nil {
		return nil, problem.From(err)
	}
	all, err := h.cfg.Records.Receipts(ctx, w.LIID)
	return listOf(all, err, func(r evidence.Receipt) receiptView {
		return receiptView{CIN: uint32(r.CIN), ChainHead: r.ChainHead, Segments: r.Segments, Person: r.Person, Certificate: r.Cert, At: r.At}
	})
}

type wordView struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

type destroyedView struct {
	CIN       uint32    `json:"cin"`
	ChainHead string    `json:"chain_head"`
	SHA256    []string  `json:"sha256" doc:"of the sealed segments"`
	PurgedAt  time.Time `json:"purged_at"`
}

type purgeView struct {
	Asked     wordView        `json:"asked"`
	Done      wordView        `json:"done"`
	Rules     []retentionView `json:"rules" doc:"of the profile, for what hangs on a warrant"`
	Destroyed []destroyedView `json:"destroyed"`
}

func (h *handlers) purgeRecord(ctx context.Context, in *idInput) (*one[purgeView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	w, err := h.cfg.Store.RecordsOf(ctx, by, warrant.ID(in.ID), "warrant.purge.record")
	if err != nil {
		return nil, problem.From(err)
	}
	r, err := h.cfg.Store.PurgeRecord(ctx, w)
	if err != nil {
		return nil, problem.From(err)
	}
	gone, err := h.cfg.Records.Destroyed(ctx, w.LIID)
	v := purgeView{Asked: showWord(r.Asked), Done: showWord(r.Done), Rules: showRetention(r.Rules), Destroyed: make([]destroyedView, len(gone))}
	for i, d := range gone {
		v.Destroyed[i] = destroyedView{CIN: uint32(d.CIN), ChainHead: d.ChainHead, SHA256: d.SHA256, PurgedAt: d.PurgedAt}
	}
	return oneOf(v, err)
}

func showWord(w pgstore.Word) wordView {
	return wordView{By: string(w.By), At: w.At.UTC(), Reason: w.Reason}
}

type retentionView struct {
	Kind   string     `json:"kind"`
	Rule   string     `json:"rule" enum:"keep-at-least,delete-after"`
	For    string     `json:"for"`
	After  string     `json:"after" doc:"the event that the period runs from"`
	Duty   string     `json:"duty" enum:"operator,agency"`
	Source string     `json:"source" doc:"statute and section"`
	End    *time.Time `json:"end" doc:"counted from the end of the tap: where the event comes later, so does the end; null: not to be counted yet, or not ours"`
}

func showRetention(all []pgstore.Retention) []retentionView {
	views := make([]retentionView, len(all))
	for i, r := range all {
		views[i] = retentionView{Kind: r.Kind, Rule: r.Rule, For: r.For, After: r.After, Duty: r.Duty, Source: r.Source}
		if !r.End.IsZero() {
			views[i].End = &r.End
		}
	}
	return views
}

type retentionsView struct {
	TapEnded *time.Time      `json:"tap_ended" doc:"null: it may still run"`
	Items    []retentionView `json:"items" doc:"empty without a jurisdiction profile"`
}

func (h *handlers) retention(ctx context.Context, in *idInput) (*one[retentionsView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	ended, all, err := h.cfg.Store.Retention(ctx, by, warrant.ID(in.ID))
	v := retentionsView{Items: showRetention(all)}
	if !ended.IsZero() {
		v.TapEnded = &ended
	}
	return oneOf(v, err)
}

type certifyInput struct {
	Body struct {
		WarrantID     string    `json:"warrant_id,omitempty" maxLength:"64" doc:"left out: an interception without authority"`
		Type          string    `json:"type" enum:"pen register,trap and trace,Title III,FISA,other"`
		TypeNote      string    `json:"type_note,omitempty" maxLength:"2000" doc:"required with other"`
		Officer       string    `json:"officer,omitempty" maxLength:"2000" doc:"who presented the order; with a warrant"`
		Signer        string    `json:"signer,omitempty" maxLength:"2000" doc:"who signed the order; with a warrant"`
		Reference     string    `json:"reference,omitempty" maxLength:"2000" doc:"without a warrant, and the rest too: the incident's, say"`
		Circumstances string    `json:"circumstances,omitempty" maxLength:"2000" doc:"how it came to be"`
		Numbers       []string  `json:"numbers,omitempty" maxItems:"1000" doc:"telephone numbers and circuit identifiers"`
		Start         time.Time `json:"start,omitempty"`
		End           time.Time `json:"end,omitempty"`
	}
}

type certificationView struct {
	ID        string    `json:"id"`
	WarrantID string    `json:"warrant_id"`
	Authority string    `json:"authority" enum:"with,without"`
	MadeBy    string    `json:"made_by"`
	MadeAt    time.Time `json:"made_at"`
	*formView           // of one certification, not in lists
}

func showCertification(c pgstore.Certification) certificationView {
	return certificationView{ID: c.ID, WarrantID: string(c.WarrantID), Authority: string(c.Form.Authority), MadeBy: string(c.MadeBy), MadeAt: c.MadeAt}
}

func answerCertification(c pgstore.Certification, err error) (*one[certificationView], error) {
	if err != nil {
		return nil, problem.From(err)
	}
	v := showCertification(c)
	f, err := showForm(c.Form)
	v.formView = &f
	return oneOf(v, err)
}

func (h *handlers) certify(ctx context.Context, in *certifyInput) (*one[certificationView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	b := in.Body
	return answerCertification(h.cfg.Store.Certify(ctx, by, warrant.ID(b.WarrantID), form.CALEACertificate{
		Reference: b.Reference, Numbers: b.Numbers, Circumstances: b.Circumstances, Start: b.Start.UTC(), End: b.End.UTC(),
		Officer: b.Officer, Signer: b.Signer, Type: form.InterceptionType(b.Type), TypeNote: b.TypeNote,
	}))
}

type certificationsInput struct {
	Warrant string `query:"warrant" maxLength:"64"`
}

func (h *handlers) certifications(ctx context.Context, in *certificationsInput) (*list[certificationView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Store.Certifications(ctx, by, warrant.ID(in.Warrant))
	return listOf(all, err, showCertification)
}

func (h *handlers) certification(ctx context.Context, in *idInput) (*one[certificationView], error) {
	by, err := staff(ctx)
	if err != nil {
		return nil, err
	}
	return answerCertification(h.cfg.Store.Certification(ctx, by, in.ID))
}
