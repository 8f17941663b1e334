// Package audit is the tamper-evident log of who did what: an append-only Merkle
// tree (RFC 6962, golang.org/x/mod/sumdb/tlog) whose hashes are Postgres rows, with
// signed checkpoints (C2SP tlog-checkpoint, golang.org/x/mod/sumdb/note).
//
// A leaf is a salted commitment: SHA-256 over a random salt and the entry's
// canonical text. Entry and salt stand beside it and may one day be erased by rule;
// the tree and every proof stay valid.
//
// Invariants:
//   - Append joins the caller's transaction: no entry, no act, and no act, no entry.
//   - Entries have consecutive indexes from 0; a transaction that is rolled back
//     leaves no hole.
//   - Nothing is ever rewritten; Verify finds any change from an export alone.
//   - An entry never holds a target's identity or content.
//
// Log is safe for concurrent use; writers wait for each other's transactions.
package audit
