// Package review is what auditors do with the log beyond reading and proving it:
// whose pseudonym it is, taking readable records away, reports, and what was tapped
// beside what was ordered.
//
// Invariants:
//   - A name is shown only to the two people who asked and confirmed, for a limited
//     time, and each look at it is an entry that is committed before it is shown.
//   - A record is taken away only for a request that two people made; the entry that
//     says so is in the same transaction. The database holds the same rule:
//     ligate_app reaches records through audit_erase() only.
//   - Reports and comparisons change nothing.
//
// This package reads tables of warrants, evidence and people, which other packages
// write, because a comparison of independent sources must not go through the code that
// it checks. Store is safe for concurrent use.
package review
