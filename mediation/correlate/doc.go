// Package correlate turns the PDUs of the bus into what the agency gets: it holds
// each PDU against its warrant, gives each call its CIN, numbers the records, says
// what is missing, and has a few seconds at a time sealed and stored.
//
//	bus ──► dispatcher ──► workers, one session always at the same one
//	             ▲              │ check · number · collect · seal · store
//	             └── forget ◄───┘ a message goes when all its PDUs are stored
//
// Invariants:
//   - A PDU outside its warrant's dates, content that was not ordered, and a PDU of an
//     unknown Task are refused: counted, alarmed, on the audit log, never stored.
//   - A bus message is acknowledged only after all its PDUs are in committed
//     segments, or refused, or known to be there already. What mediation holds in
//     memory when it dies comes again.
//   - The PDUs of one bus message, session and kind are in one segment, whose
//     transaction also stores the message's position: what comes again is skipped.
//   - Record numbers are consecutive per CIN and kind, from 0.
//   - What the tap numbered and mediation did not get is in the segment as a gap.
//   - Trouble with the database or the blob store delays; it never drops. Memory is
//     bounded by Config.MaxHeldBytes; the rest waits in the bus's encrypted files.
//
// Specifications: TS 102 232-1 clause 5.2 (LIID, CIN, sequence numbers), TS 102
// 232-5 clause 5 (IRI types), TS 103 221-2 clause 5.3.9 (sequence numbers at the tap).
package correlate
