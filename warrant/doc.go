// Package warrant decides what may be tapped: warrants, the people and agencies
// around them, and the rules between their states, as pure functions over values
// and a given now.
//
//	draft ──submit──► submitted ──approve──► approved ──start──► active ──end──► expired ──purge──► purged
//	  ▲                   │                     │                │  ▲               ▲
//	  └──────reject───────┘ (rejected)          │         suspend│  │resume         │
//	                                            │                ▼  │               │
//	                                            └──revoke──► revoked suspended ─────┘
//
// Invariants:
//   - A Task exists only for a warrant that is approved or active, inside its dates.
//   - Drafter and approver are two people; the approver typed targets and end again.
//   - A warrant of scope IRI gives a li.IRITask, which has no path to media.
//   - An approved warrant's targets, dates, scope and agency never change; an
//     extension is a new warrant that names its predecessor.
//
// The same rules stand as constraints in the database (warrant/pgstore).
package warrant
