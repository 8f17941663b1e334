// Package etsi writes and reads what passes between mediation and the agency's
// facility (LEMF): PS-PDUs of TS 102 232-1 (module LI-PS-PDU version43), which carry
// SIP messages and media packets as TS 102 232-5 has them (IPMultimediaPDU
// version17), HI1 notifications, integrity checks and the messages of the link.
//
// A stream is PS-PDUs back to back; Frame finds where one ends. An Encoder appends
// PDUs of one Stream, Decode reads any, also of other vendors: several payloads in a
// PDU, fields and versions that we do not send, extensions that we do not know.
//
// Invariants:
//   - What an Encoder appends, Decode reads back equal, and so does a decoder that
//     was made from ETSI's schemas by somebody else's compiler (TestIndependentCodec).
//   - Sizes and alphabets of the schema are checked in both directions.
//   - An error returns dst as it was, or no PDU; nothing panics, whatever the octets.
//   - Decoding follows the schema's nesting and never the input's: there is no recursion.
//
// Only definite lengths are written and read. Decode is BER but for three liberties
// of X.690 that nobody uses here and that it refuses: indefinite lengths, strings in
// pieces, and lengths of more than four octets.
//
// An Encoder and a Sealer are for one goroutine each; functions are safe for concurrent use.
package etsi
