// Package witness cosigns the checkpoints of audit logs (C2SP tlog-witness,
// cosignature/v1 of tlog-cosignature) and, on the log's side, asks witnesses to.
//
// Invariants:
//   - A witness signs only a tree that provably begins with the last one that it
//     signed of that log: of one log it never signs two trees of which neither is the
//     beginning of the other.
//   - What it is about to sign is on disk, synced, before the cosignature exists. A
//     witness that is killed and started again knows at least what it signed.
//   - One folder has one witness at a time.
//   - It learns sizes and hashes only.
//
// Witness and Pusher are safe for concurrent use.
package witness
