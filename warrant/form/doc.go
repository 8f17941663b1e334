// Package form holds the reports that an operator owes: what they must say, and how
// they read as JSON, as plain text and as a Document for pages and PDF.
//
// Invariants:
//   - Nothing is guessed: a form that lacks a mandatory field is an error that names
//     every such field, and renders to nothing.
//   - Times stand in the zone of the order and in UTC.
//   - The same form renders to the same octets.
//
// Error texts name fields, never what they hold.
package form
