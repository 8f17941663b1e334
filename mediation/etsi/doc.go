// Package etsi encodes and decodes the PS-PDUs of TS 102 232-1 (module LI-PS-PDU
// version43) with the payloads of TS 102 232-5 (IP multimedia, version17), in BER with
// definite lengths.
//
// Invariants:
//   - AppendCC does not allocate when dst has room.
//   - Decode checks every length before use and bounds how deep it looks; its result
//     aliases the input; an error comes without a PDU.
//   - What is encoded here, an independent decoder (Debian's erlang-asn1, from the
//     schemas in testdata) reads as the same values, and the other way round.
//   - Extension elements that are not known are skipped (X.680 clause 52).
//
// The octets, outermost first:
//
//	30 PS-PDU
//	   A1 pSHeader   80 domain, 81 LIID, 82 country, A3 {network, CIN, country}, 84 number, 85 or A7 time, 86 point, 88 qualifier
//	   A2 payload    A0 IRI … | A1 CC … | A2 TRI … | A3 HI1 … | A4 encryption container
package etsi
