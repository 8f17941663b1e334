// Package bus moves X2 and X3 PDUs from the gateway to mediation through NATS
// JetStream: an embedded server, or a cluster that somebody else runs.
//
//	tee ─► Bus (embedded) ─► mediation                     one process, or Remote over TLS
//	tee ─► Bus (embedded) ─► Forwarder ─► Bus (cluster) ─► several mediations
//
// Calls fall into sixteen partitions; a message holds PDUs of one of them and of one
// kind, and each partition is consumed apart.
//
// What a Publish acknowledged is on disk in a file that JetStream encrypts (AES), or
// on a majority of the cluster's servers, sealed by us, and it is consumed at least
// once, in order. Acknowledged messages are removed (work-queue retention), so
// plaintext leaves the files as soon as mediation has sealed it.
//
// Invariants:
//   - Publish returns nil only after JetStream stored the message.
//   - The same octets published twice by one process within two minutes are stored
//     once, so that a publisher may try again after an answer that it did not see.
//   - A message that was forwarded keeps the position that it had on its first bus:
//     one that is forwarded twice is known by it.
//   - A Consume begins with the oldest message of its partition or spool that nobody
//     acknowledged and keeps the order, also after a crash, a lost connection or a
//     server's death: it begins anew.
//   - A full store refuses (ErrFull); nothing stored is ever overwritten.
//   - Nothing leaves the process for a cluster unsealed.
//   - Messages survive the death of the process (kill -9). They survive loss of
//     power with Config.SyncAlways, at the price of one fsync a message; without it
//     JetStream syncs every two minutes.
//
// A mediation on another machine consumes through Remote, over mutual TLS; the
// gateway's own server is then its spool while mediation is away.
//
// Bus is safe for concurrent use; Publish keeps the order of one caller.
package bus
