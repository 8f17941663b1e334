// Package x2x3 encodes and decodes the PDUs of TS 103 221-2: copies of signalling
// (X2) and of media (X3) on their way from the POI to the MDF.
//
// Invariants:
//   - AppendPDU does not allocate when dst has room.
//   - DecodePDU checks every length before use; its result aliases the input.
//   - What DecodePDU accepts, AppendPDU encodes again with the same meaning.
//
// Version written: 0.5 (clause 5.2.1); any minor version is read.
package x2x3
