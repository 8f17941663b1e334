// Package collect takes X2 and X3 from network elements that are not ours (TS 103
// 221-2): they dial in over mutual TLS, and what they were tasked to send goes to the
// bus, where mediation finds it beside what our own gateway copied.
//
//	element ──TLS──► connection ──► judge ──► batch ──► bus
//	        ◄─ack──       │           │                  │
//	                      └─ refused ─┴── a keep-alive is answered once
//	                         counted,     all before it is stored
//	                         alarmed
//
// Invariants:
//   - An element is known by its certificate and nothing else. It speaks for itself
//     only: a PDU under another element's name is refused.
//   - A PDU of a Task that the element was not given is refused. While nobody can say
//     whether it was, nothing more is read of the connection: no PDU goes unchecked,
//     and none that was read is dropped. What was given once stays given (the database
//     never forgets it), so that a known Task goes on for staleFor while the database
//     is away.
//   - A keep-alive is answered after everything before it on the connection is stored
//     on the bus or refused. An answer means stored.
//   - What an element sends again since it saw no answer is stored once, as far as this
//     process remembers: by number and time, after it was stored.
//   - A connection's PDUs of one call and kind are published in their order.
//   - What is no PDU ends its connection, with a reason that is counted and logged. It
//     touches no other connection, and memory a connection is bounded.
//   - Neither log nor reason holds an XID, an address or anything of a call; figures
//     are LI figures.
//
// A connection's goroutine reads, judges and publishes; Run ends when all have.
// Specifications: TS 103 221-2 clauses 5 and 6.
package collect
