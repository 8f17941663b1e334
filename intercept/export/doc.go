// Package export hands what the gateway copied to somebody else's mediation (MDF): X2
// and X3 PDUs over mutual TLS (TS 103 221-2), instead of to our own.
//
//	bus ──► feed, one a partition ──► lane, one a destination ──► connection ──► MDF
//	  ▲        what is ours alone        what is not confirmed                     │
//	  └── forgets ◄──────────────────────────── answer to a keep-alive ◄───────────┘
//
// Invariants:
//   - The bus forgets a message only when the MDF answered a keep-alive that was sent
//     after it. A new connection begins with what was not confirmed, oldest first.
//   - The PDUs of one call and kind are sent in their order. What is sent twice is
//     recognised by XID, correlation, sequence number and time.
//   - What only another ligate understands (attribute 4) leaves with Config.Private
//     only.
//   - Memory is bounded: Config.MaxUnconfirmed a destination, and one message a
//     partition. The rest waits on the bus.
//   - Connections are opened, kept alive and logged alike with and without taps.
//
// A destination that is away for long also holds up the other once MaxUnconfirmed is
// reached: one consumer of a partition hands out both kinds, in turn.
//
// Specifications: TS 103 221-2 clauses 5.3.9 and 6.2.
package export
