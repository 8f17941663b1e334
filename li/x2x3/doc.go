// Package x2x3 encodes and decodes the PDUs of TS 103 221-2: copies of signalling
// (X2) and of media (X3) on their way from the POI to the MDF.
//
// Invariants:
//   - AppendPDU does not allocate when dst has room.
//   - DecodePDU checks every length before use; its result aliases the input.
//   - Neither AppendPDU nor Decoder allocates for PDUs as our own elements send them.
//   - What DecodePDU accepts and Validate finds right, AppendPDU encodes again with the
//     same meaning.
//   - A Reader holds MaxPDUBytes of a stream at most, whatever the peer announces.
//
// Version written: 0.5 (clause 5.2.1); any minor version is read.
package x2x3
