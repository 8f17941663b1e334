package sipproxy

import (
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
func parties(plan li.NumberPlan, m *wire.Message, from, to *peer) []party {
	called := plan.Identities(m.Text(m.URI))
	list := appendParties(nil, called, false, false)
	dialled := plan.Identities(m.Text(m.To.URI))
	forwarded := !overlap(called, dialled) && from.Role == RoleCore && to.Role == RoleTrunk
	list = appendParties(list, dialled, forwarded, false)
	list = appendParties(list, plan.Identities(m.Text(m.From.URI)), true, !from.Trusted)
	if from.Trusted {
		list = appendParties(list, asserted(plan, m), true, false)
	}
	return list
}

// laterParties reads them from a request within a dialog, or a response to one, of
// which nothing else is known: From sent the request.
func laterParties(plan li.NumberPlan, m *wire.Message, fromA bool, sender *peer) []party {
	list := appendParties(nil, plan.Identities(m.Text(m.From.URI)), fromA, !sender.Trusted)
	return appendParties(list, plan.Identities(m.Text(m.To.URI)), !fromA, false)
}

// registered is who a REGISTER is about: its To (RFC 3261 clause 10.2).
func registered(plan li.NumberPlan, m *wire.Message) []party {
	return appendParties(nil, plan.Identities(m.Text(m.To.URI)), true, false)
}

func asserted(plan li.NumberPlan, m *wire.Message) []li.Identity {
	var ids []li.Identity
	for e := range m.Elements(wire.PAssertedIdentity) {
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
