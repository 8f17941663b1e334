// Package signin says how the operator's staff prove who they are and for how long,
// as pure rules over values and a given now: sessions, passkeys, enrolments, lockout,
// machine tokens. warrant/pgstore keeps them; api/auth speaks for them.
//
// Invariants:
//   - What proves somebody is never kept in clear: of links, sessions and machine
//     tokens the store has SHA-256 only.
//   - A machine token reads; it never drafts, approves, purges or manages people.
//   - Failures delay the next attempt twice as long each, up to an hour; success or a
//     day's rest ends it.
package signin
