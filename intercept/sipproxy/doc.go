// Package sipproxy is the POI's signalling path: a transparent, stateful,
// record-routing SIP proxy (RFC 3261 clauses 16 to 18, RFC 6026, RFC 3581)
// between the operator's cores and PSTN trunks.
//
// It forwards the octets it received, with edits spliced in (package wire): top
// Via, Record-Route, Route, Max-Forwards; on PSTN-bridged dialogs, those of which
// exactly one side is a trunk, also the addresses in session descriptions
// (package sdp), so that media runs through the relay. It copies the messages of
// calls that match a Task to the tee.
//
// Sockets are its own: sipgo's transport layer hands on parsed messages, and
// lossless forwarding needs the octets as they came; it also keeps an entry for
// every source address and one goroutine a message, which loses order. sipgo
// serves the test agents.
//
// Structure: readers parse and give each message to the shard of its Call-ID. A
// shard owns all transactions, calls and timers of its Call-IDs; one goroutine at a
// time holds it: the reader itself where nothing waits (a hand-over costs as much as
// the message), else the shard's own. Messages of one reader keep their order.
//
// A peer has places, addresses where it listens, given or looked up (package locate);
// each has its health, which answers and OPTIONS pings tell. What may be tried, and in
// which order, is decided once a request (order.go); limits when a hop is tried.
//
// Invariants:
//   - Only configured peers are served, and requests go to configured peers only:
//     the proxy is no open relay. Addresses in a message choose among a peer's own
//     sources at most.
//   - Tapped and untapped calls take the same path and look the same on the wire,
//     on the operations registry and in the log.
//   - Only PSTN-bridged dialogs are anchored and copied. REGISTER of a target is
//     reported wherever it goes. An on-net call of a target is only counted, on the
//     LI registry.
//   - An identity that an untrusted peer only claims in From gives signalling,
//     never content.
//   - A failed copy never delays or changes a call.
//   - Logs, metrics and errors hold no Call-ID, user, address or octets of a message.
//
// After a restart the routes in the messages are enough to carry established
// calls: branches, Record-Route cookies and correlation ids are keyed hashes of
// the message and the configured secret.
package sipproxy
