// Package evidence stores what was intercepted: sealed segments in a blob store,
// their hashes, chains and receipts in Postgres.
//
// The steps of one segment, in this order:
//
//  1. mediation seals it in memory,
//  2. the ciphertext is written to the blob store under an unguessable name,
//  3. one transaction adds the segment's row, moves the session's counters, chain
//     head and bus positions, and, once a minute, puts the chain head on the audit log,
//  4. the bus is told that it may forget.
//
// A crash after 2 leaves a blob that no row names; a crash after 3 makes the bus
// send again what the position skips. Nothing is lost or doubled. When a session is
// closed its last chain head goes on the audit log.
//
// Invariants:
//   - Only ciphertext reaches the blob store; the server holds no key to it.
//   - Segment numbers of a session are consecutive from 1 and its chain covers all.
//   - A segment's ciphertext is durable before its row says that it is there.
//   - Whoever is answered about a LIID was checked to own it before (api/handover).
//
// Store is safe for concurrent use; one session is written by one goroutine.
package evidence
