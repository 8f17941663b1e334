package problem

import (
	"errors"
	"net/http"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/review"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/warrant"
)

// row says how one error of the domain is shown.
type row struct {
	err    error
	status int
	typ    Type
	detail string
}

func table() []row {
	return []row{
		{warrant.ErrNotFound, http.StatusNotFound, NotFound, "there is no such thing, or it is not yours"},
		{evidence.ErrNotFound, http.StatusNotFound, NotFound, "there is no such thing, or it is not yours"},
		{audit.ErrNotFound, http.StatusNotFound, NotFound, "there is no such thing, or it is not yours"},
		{warrant.ErrForbidden, http.StatusForbidden, Forbidden, "your role may not do this"},
		{warrant.ErrVersion, http.StatusPreconditionFailed, Stale, "somebody changed it meanwhile: read it again"},
		{warrant.ErrIdempotency, http.StatusUnprocessableEntity, Idempotency, "this Idempotency-Key was used for another request: take a new one"},
		{warrant.ErrExists, http.StatusConflict, Conflict, "there is one of that name, LIID or certificate already"},
		{warrant.ErrPage, http.StatusBadRequest, BadRequest, "bad cursor or limit: take next from the page before"},
		{evidence.ErrPage, http.StatusBadRequest, BadRequest, "bad cursor or limit: take next from the page before"},
		{audit.ErrFilter, http.StatusBadRequest, BadRequest, "bad cursor or limit: take next from the page before"},
		{audit.ErrRange, http.StatusBadRequest, BadRequest, "the tree is not that large"},
		{review.ErrNotFound, http.StatusNotFound, NotFound, "there is no such thing, or it is not yours"},
		{review.ErrFourEyes, http.StatusForbidden, FourEyes, "who asked cannot confirm: another person must"},
		{review.ErrRole, http.StatusForbidden, Forbidden, "your role may not do this"},
		{review.ErrState, http.StatusConflict, WrongState, "it was confirmed already"},
		{review.ErrReason, http.StatusUnprocessableEntity, Invalid, "reason: say why, in at most 2000 characters"},
		{review.ErrPeriod, http.StatusUnprocessableEntity, Invalid, "from and until: want from before until, and at most two years"},
		{audit.ErrErase, http.StatusConflict, WrongState, "only existing records that are no erasures can be erased: look at the entries again and ask anew"},
		{evidence.ErrStale, http.StatusConflict, Stale, "the session has grown or the chain head is another: fetch and verify again"},
	}
}

// ruleStatus says how a broken rule of law is shown.
func ruleStatus(r warrant.Rule) (int, Type) {
	switch r {
	case warrant.RuleFourEyes:
		return http.StatusForbidden, FourEyes
	case warrant.RuleNotEnrolled:
		return http.StatusForbidden, Forbidden
	case warrant.RuleState, warrant.RuleHold:
		return http.StatusConflict, WrongState
	case warrant.RuleRetyped:
		return http.StatusUnprocessableEntity, NotEqual
	case warrant.RuleIncomplete, warrant.RuleDates, warrant.RuleTarget, warrant.RuleScope, warrant.RuleAgency, warrant.RuleReason,
		warrant.RuleDelivery, warrant.RuleNarrow, warrant.RuleDocument, warrant.RuleProtected:
		return http.StatusUnprocessableEntity, Invalid
	}
	return http.StatusInternalServerError, Internal
}

// From turns any error into the problem that its caller may see.
func From(err error) error {
	if err == nil {
		return nil
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var rule *warrant.RuleError
	if errors.As(err, &rule) {
		status, t := ruleStatus(rule.Rule)
		p := New(status, t, rule.Reason)
		p.Rule = string(rule.Rule)
		return p
	}
	for _, r := range table() {
		if errors.Is(err, r.err) {
			return New(r.status, r.typ, r.detail)
		}
	}
	return New(http.StatusInternalServerError, Internal, "")
}
