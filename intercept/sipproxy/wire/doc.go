// Package wire reads SIP messages without changing them: it finds the message in
// a datagram or stream (RFC 3261 clauses 7 and 18.3), indexes where its header
// fields stand, holds it against the rules that a proxy must check (clause 16.3),
// and writes it again with a list of edits spliced into the original octets.
//
// Invariants:
//   - A message written without edits is byte for byte the message that was read.
//   - Whatever no edit names keeps its octets: unknown headers, white space,
//     folding, order, bodies.
//   - No error text quotes the message.
//
// A Message aliases the octets it was parsed from. It is read only after Parse and
// then safe for concurrent use.
package wire
