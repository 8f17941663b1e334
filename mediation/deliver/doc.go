// Package deliver pushes records to the agencies' monitoring facilities (LEMF): IRI
// and notifications over HI2, content over HI3, as PS-PDUs over mutual TLS (TS 102
// 232-1 clause 6). Beside it or instead it writes sealed capture files.
//
//	correlate ──► Line ──► queue ──► spool on the bus ──► link ──► LEMF
//	              encode    group     one an agency and    TLS, keep-alive,
//	                        commit    interface            confirm, replay
//	database ───► pump ────► (integrity checks, HI1 notices)
//	              Line ──► queue ──► spool of records ──► dropWriter ──► pcapng, sealed
//
// Invariants:
//   - A PS-PDU's number, per (LIID, CIN, IRI or CC), is settled before it is pushed
//     and never changes: what is sent twice is recognised by it (clause 5.2.5).
//   - A record is on its agency's spool before its segment is committed, and the
//     commit is what lets the bus forget the tap's copy.
//   - A PDU leaves the spool only when the LEMF confirmed it (Delivery.Confirm).
//     After a broken connection what was not confirmed goes first, again.
//   - Each agency and interface has its own spool, limit, connection and goroutines:
//     a slow, absent or hostile LEMF holds up nobody else, nor the sealed store.
//   - What a full spool refuses is counted, alarmed, and told to the LEMF by numbers
//     (operatorLeaMessage); it stays in the sealed store.
//   - A record is in one capture file. Where a file ends is noted on disk before it is
//     written; it appears whole, under a name that tells nothing; only then the spool
//     forgets. A full spool's numbers are named in the next file.
//
// What the protocol cannot promise: TCP says that the peer's host has octets, not
// that its application kept them. A keep-alive answer or a PDU acknowledgement says
// that the application has read what was sent before.
package deliver
