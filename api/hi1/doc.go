// Package hi1 is /hi1/v1: agencies send orders electronically (TS 103 120), follow
// their status and fetch notifications. It answers messages of li/hi1.
//
//	POST /hi1/v1 ─ decode ─ who sends it ─ check the orders ─► inbox (warrant/pgstore)
//	                                                             │ an officer takes it
//	                                                             ▼
//	                                                           draft, as any other
//
// Invariants:
//   - What an agency sends becomes an entry in the officers' inbox and no more: this
//     package has no way to make a warrant.
//   - The orders of one message are taken whole or not at all.
//   - Another agency's object is answered like one that does not exist.
//   - Each message leaves an audit entry before it is answered; none holds a target.
package hi1
