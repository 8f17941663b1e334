// Package hi1 is the warrant interface between agencies and the operator (HI1 in the
// style of TS 103 120): its messages and objects, as XML and as JSON.
//
//	HI1Message ─ Header
//	           └ RequestPayload  ─ n ActionRequest  (GET, CREATE, UPDATE, LIST, DELIVER)
//	           └ ResponsePayload ─ n ActionResponse, or one ErrorInformation
//	HI1Object  = Authorisation | Task | Document | Notification
//
// Each type is described once, by a function that both reads and writes it; XML and
// JSON are two forms of the same tree. api/hi1 answers the messages.
//
// Invariants:
//   - A message is either read whole or refused: an element that is not understood
//     never narrows or widens what an agency ordered. National parameters and
//     signatures, of which no profile is agreed, are refused by name.
//   - What is written is valid under ETSI's schema.
//   - Document type declarations, processing instructions and foreign entities are
//     refused, nothing is fetched; size, depth and counts are bounded.
//   - A Fault says where and what is wrong in words of the schema. It never quotes
//     what was read. Target values and documents hide from every printer.
//
// Specification: ETSI TS 103 120, schemas V1.12.1; its JSON form as of V1.14. All
// functions are safe for concurrent use.
package hi1
