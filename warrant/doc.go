// Package warrant decides what may be tapped: warrants, the people and agencies
// around them, and the rules between their states, as pure functions over values
// and a given now.
//
//	draft ──submit──► submitted ──approve──► approved ──start──► active ──end──► expired ──purge──► purged
//	  ▲                │ ▲  └┐                  │                │  ▲               ▲
//	  └─────reject─────┘ └───┘ first of two     │         suspend│  │resume         │
//	      (rejected)           approvals        │                ▼  │               │
//	                                            └──revoke──► revoked suspended ─────┘
//
// Beside the states: Narrow takes targets or content away at once; ConfirmOriginal ends
// the quarantine of a provisional order, and Lapse the order if the original does not
// come; a Hold keeps a purge off; Extend drafts a successor.
//
// Limits are what a deployment and its law add: legal bases, longest validity, numbers
// that are no targets.
//
// Invariants:
//   - A Task exists only for a warrant that is approved or active, inside its dates.
//   - Drafter and approver are two people; the approver typed targets and end again.
//   - A warrant of scope IRI gives a li.IRITask, which has no path to media.
//   - An approved warrant's dates and agency never change, its targets and scope only
//     become less; an extension is a new warrant that names its predecessor and begins
//     when that one ends.
//   - A warrant on a protected number has three different people behind it.
//   - A provisional order ends when its original is due; its Task ends with it.
//   - A purge takes two, and no hold.
//   - A reason or note that names a target is refused.
//
// The same rules stand as constraints in the database (warrant/pgstore).
package warrant
