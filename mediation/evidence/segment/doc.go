// Package segment is the format of what the agency receives: a few seconds of one
// call's records of one kind, sealed with age to the agency's recipients, and
// chained so that a missing, changed or reordered segment shows.
//
// Plaintext of a segment:
//
//	"ligate-segment/1\n" | header as one line of JSON | records
//	record: kind (1 octet) | length (uint32) | body
//
// Chain of one call (CIN), over segments of both kinds in the order of their
// numbers:
//
//	C(0) = SHA-256("ligate-chain/1\n" | LIID | 0x00 | CIN)
//	C(n) = SHA-256("ligate-chain/1\n" | C(n-1) | n | SHA-256(ciphertext) | SHA-256(plaintext))
//
// The header holds 32 random octets, so the plaintext's hash tells nothing about
// the plaintext to who does not hold the key.
//
// Invariants:
//   - Decode accepts exactly what Encode writes.
//   - A segment holds IRI records or CC records, never both; gaps may be in either.
package segment
