package sipproxy

import (
	"strings"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/li"
)

// party is an identity that takes part in a call, and on which side it is.
type party struct {
	id      li.Identity
	onA     bool // on the side of the first request's sender
	claimed bool // only a From of an untrusted peer says so: signalling, no content
}

// parties reads the identities of a call from its first request.
//
// Request-URI names the called party. To names it too; where it differs from the
// Request-URI the call was forwarded, and a target there is a subscriber who
// forwards: on the core's side. From names the caller, P-Asserted-Identity the
// caller as the network knows it, and counts only from a trusted peer (RFC 3325).
func parties(m *wire.Message, from, to *peer) []party {
	plan := from.numbers
	called := plan.Identities(m.Text(m.URI))
	list := appendParties(nil, called, false, false)
	dialled := plan.Identities(m.Text(m.To.URI))
	forwarded := !overlap(called, dialled) && from.Role == RoleCore && to.Role == RoleTrunk
	list = appendParties(list, dialled, forwarded, false)
	list = appendParties(list, plan.Identities(m.Text(m.From.URI)), true, !from.Trusted)
	return append(list, furtherParties(plan, m, from.Trusted)...)
}

// furtherParties reads the fields in which the network says who takes part. From an
// untrusted peer an asserted identity, a diversion or a history says nothing, a
// preferred one is a claim like From. Whoever diverted a call stands upstream, on
// the side of the request's sender; so does whoever transferred it, as a user agent
// says (RFC 3892), which is never more than a claim.
func furtherParties(plan li.NumberPlan, m *wire.Message, trusted bool) []party {
	list := appendParties(nil, listed(plan, m, wire.PPreferredIdentity), true, !trusted)
	list = appendParties(list, listed(plan, m, wire.ReferredBy), true, true)
	list = append(list, remoteParties(plan, m, trusted)...)
	if !trusted {
		return list
	}
	list = appendParties(list, listed(plan, m, wire.PAssertedIdentity), true, false)
	list = appendParties(list, listed(plan, m, wire.PCalledPartyID), false, false)
	list = appendParties(list, listed(plan, m, wire.Diversion), true, false)
	return appendParties(list, listed(plan, m, wire.HistoryInfo), true, false)
}

// remoteParties reads Remote-Party-ID (draft-ietf-sip-privacy): the caller unless it
// says "called", vouched for only with screen=yes inside the trust domain.
func remoteParties(plan li.NumberPlan, m *wire.Message, trusted bool) []party {
	var list []party
	for e := range m.Elements(wire.RemotePartyID) {
		addr, ok := wire.ParseNameAddr(m.Raw, e.Span)
		if !ok {
			continue
		}
		params := strings.ToLower(strings.ReplaceAll(string(m.Raw[addr.URI.End:e.Span.End]), " ", ""))
		vouched := trusted && strings.Contains(params, ";screen=yes")
		list = appendParties(list, plan.Identities(m.Text(addr.URI)), !strings.Contains(params, ";party=called"), !vouched)
	}
	return list
}

// laterParties reads them from a request within a dialog, or a response to one, of
// which nothing else is known: From sent the request.
func laterParties(m *wire.Message, fromA bool, sender *peer) []party {
	plan := sender.numbers
	list := appendParties(nil, plan.Identities(m.Text(m.From.URI)), fromA, !sender.Trusted)
	return appendParties(list, plan.Identities(m.Text(m.To.URI)), !fromA, false)
}

// registered is who a REGISTER is about: its To (RFC 3261 clause 10.2).
func registered(m *wire.Message, from *peer) []party {
	return appendParties(nil, from.numbers.Identities(m.Text(m.To.URI)), true, false)
}

// listed returns the identities of all values of a field.
func listed(plan li.NumberPlan, m *wire.Message, h wire.Header) []li.Identity {
	var ids []li.Identity
	for e := range m.Elements(h) {
		if addr, ok := wire.ParseNameAddr(m.Raw, e.Span); ok {
			ids = append(ids, plan.Identities(m.Text(addr.URI))...)
		}
	}
	return ids
}

func appendParties(list []party, ids []li.Identity, onA, claimed bool) []party {
	for _, id := range ids {
		list = append(list, party{id, onA, claimed})
	}
	return list
}

func overlap(a, b []li.Identity) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}
