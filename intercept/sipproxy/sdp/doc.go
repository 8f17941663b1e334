// Package sdp changes the transport addresses of a session description (RFC 8866)
// so that media goes through the relay, and leaves every other octet as it is.
//
// Changed are, for each media line that is anchored: the port of its m= line, its
// c= line, a=rtcp (RFC 3605); for the session: c= and the address of o=. ICE
// attributes (RFC 8839) of anchored media are taken out, all of them, so that both
// sides fall back to the address that the relay serves. Encryption attributes
// (a=crypto, a=fingerprint) are never touched.
//
// Invariants:
//   - A description of which nothing is anchored comes back byte for byte.
//   - A rejected stream (port 0) stays rejected; a held one (c=0.0.0.0, RFC 2543)
//     stays held.
//   - No error text quotes the description.
//
// All functions are pure but for the callback that Rewrite is given.
package sdp
