// Package lemf is the reference monitoring facility: it takes HI2 and HI3 of TS 102
// 232-1 as an agency would, holds every number, hash and time against the standard,
// and writes the sessions to disk.
//
//	DIR/liid-<hex>/<cin>/iri.ber, cc.ber        the PS-PDUs, each once, in order
//	                     iri.check.ber, …       integrity checks and signatures
//	DIR/notices.ber                             HI1 and what else concerns no session
//
// Invariants:
//   - A keep-alive or a PDU acknowledgement request is answered only once everything
//     before it is synced to disk: the DF forgets what was answered.
//   - A PDU that comes twice is kept once. One that comes twice with other octets is
//     a fault.
//   - After a crash it goes on where its files end; a torn last PDU is cut off.
package lemf
