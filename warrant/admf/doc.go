// Package admf is the administration function: it turns warrants into Tasks on the
// gateways over X1 and holds what the gateways tap against what is ordered.
//
// It stands between the warrant store, which decides what may be tapped at a
// moment, and the gateways, which only know Tasks. It keeps no state of its own
// that matters: after a restart everything follows from the store and from what
// the gateways say.
//
// How it works: one goroutine plans (asks the store what is wanted and holds it against
// the audit log; when nudged, on a database notification, at the next deadline, and every
// ReconcileEvery). One goroutine a gateway pushes what a new plan changes, and compares
// every ProbeEvery what the gateway says that it taps (GetAllDetails, asked beside it)
// with the plan, so a gateway that restarted empty is refilled within about a second, a
// dead one delays no other, and a slow answer no change.
//
// Invariants:
//   - Nothing is tapped but what the latest plan wants: what a gateway taps beyond
//     it is removed, removals before additions.
//   - No gateway is touched before the store has been asked once.
//   - A tap that the ADMF did not place is a stray: what it was and the alarm are handed
//     to the store (which puts both on the audit log) before the tap is removed. A store
//     that cannot take them does not keep the tap alive; they are delivered later.
//   - A warrant that the audit log does not bear out is not tapped. While the log cannot
//     be asked nothing new is tapped, and what is revoked ends.
//   - A Task that already runs counts as placed only if it is equal in all it says.
//   - A store that cannot be asked ends no tap of the latest plan before its end, and
//     prolongs none.
//   - Ordinary logs and metrics know gateways, never Tasks.
package admf
