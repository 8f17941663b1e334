// Package x1 is the task interface between the ADMF and the network elements of
// one operator (TS 103 221-1): its XML messages, the client of each side and the
// HTTP frame of both servers.
//
// The ADMF (warrant/admf) sends requests with a Client to a network element; the server
// of ours (intercept/tasking) answers. A gateway reports with a Reporter.
//
// Invariants:
//   - A Task is either read whole or refused: an element that is not understood
//     never narrows or widens what is tapped.
//   - A Task on the wire always carries its own end (element Until of the namespace
//     urn:ligate:x1:2026 in taskDetailsExtensions, see ligate-x1.xsd); one without
//     it is refused, unless the other side is not ours and the caller says so (Bare).
//   - Document type declarations, processing instructions and foreign entities are
//     refused; sizes and depth are bounded before memory is spent.
//   - No error quotes what was read.
//   - The identifier that a message claims is held against the peer's certificate
//     at each message (clause 8.2.4), not once a connection.
//
// Specification: ETSI TS 103 221-1, schema version 1.22.1. All functions are safe
// for concurrent use.
package x1
