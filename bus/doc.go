// Package bus moves X2 and X3 PDUs from the gateway to mediation through an
// embedded NATS server with JetStream.
//
// What a Publish acknowledged is on disk in a file that JetStream encrypts
// (AES), and it is consumed at least once, in order. Acknowledged
// messages are removed (work-queue retention), so plaintext leaves the files as
// soon as mediation has sealed it.
//
// Invariants:
//   - Publish returns nil only after JetStream stored the message.
//   - The same octets published twice within two minutes are stored once, so that a
//     publisher may try again after an answer that it did not see.
//   - A Consume begins with the oldest message that nobody acknowledged and keeps
//     the order, also after a crash or a lost connection: it makes its consumer anew.
//   - A full store refuses (ErrFull); nothing stored is ever overwritten.
//   - Messages survive the death of the process (kill -9). They survive loss of
//     power with Config.SyncAlways, at the price of one fsync a message; without it
//     JetStream syncs every two minutes.
//
// A mediation on another machine consumes through Remote, over mutual TLS; the
// gateway's own server is then its spool while mediation is away.
//
// Bus is safe for concurrent use; Publish keeps the order of one caller.
package bus
