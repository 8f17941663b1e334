// Package tee takes the copies: SIP messages from the proxy, media packets from
// the relay, for calls that a Task names. It puts them into bounded rings; one
// goroutine numbers, encodes and publishes them until the bus has stored them.
//
// Invariants:
//   - X2 and X3 never block the call: a full ring drops the copy, counts it, and
//     the sequence number that it took shows mediation the gap once a later copy
//     of the call arrives.
//   - X3 takes a MediaGrant and copies nothing without a live one; X2 copies
//     nothing for a Tap that is not live.
//   - X3 does not allocate.
//   - Copies of one Line leave in the order in which they entered the ring, and
//     their numbers rise in that order.
//   - SRTP is opened on Run's goroutine only; what no key opens keeps its place and
//     number and is delivered as it came.
//   - Nothing of it is logged, and its figures are LI figures.
//
// Tee and Line are safe for concurrent use.
package tee
