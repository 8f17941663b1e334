// Package pgstore keeps warrants, people, agencies, Tasks and alarms in Postgres.
// Every change and its audit entry commit together; a refused act is an entry of
// its own.
//
// Invariants:
//   - The rules of package warrant decide first, the database's constraints again.
//   - An audit entry never holds a target's identity, nor does a warrant's history.
//   - Each version of a warrant is kept, with who made it, why and from where.
//   - Whatever changes what should be tapped notifies the channel ligate_warrants in
//     the same transaction.
//   - WarrantByLIID answers an unknown LIID and another agency's alike.
//
// Store is safe for concurrent use.
package pgstore
