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
//   - Nothing is ever rewritten; Verify finds any change from an export alone. What
//     an export alone cannot show is that its newest end was cut off at an older
//     checkpoint: for that, auditors keep the checkpoints they were given and hand
//     them to Verify.
//   - No two trees of one size are ever signed: a log that is shorter than a
//     checkpoint says is neither appended to nor signed (ErrDamaged).
//   - A record is erased only by Erase, for a request that two people made, which is an
//     entry of its own that names both and the erased ones; Verify refuses a record that
//     is gone without one.
//   - An entry never holds a target's identity or content.
//
// # Erasing
//
// Retention ends for audit records too. Erase takes away an entry's text and salt,
// without which its commitment says nothing about it. The role ligate_app may not update
// a record: the function audit_erase does it, as the database's owner, for a request
// that one person made and another confirmed, once; the trigger audit_entry_update lets
// nothing else through. Entries that record an erasure are never erased.
//
// Log is safe for concurrent use; writers wait for each other's transactions.
package audit
