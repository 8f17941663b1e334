// Package media relays RTP, RTCP and whatever else rides their ports for
// PSTN-bridged calls, and hands a copy of each packet to the tee for calls that a
// ContentTask names.
//
// One epoll thread a core owns the sockets of its sessions: raw reads and writes,
// one fixed buffer a thread. A port has a bound socket and, once its side is locked,
// one that is connected to the locked source. A packet costs no allocation, no log line and no lock
// that is held across I/O.
//
// Invariants:
//   - Tapped and untapped packets take the same path: both walk the session's slice
//     of tappings, which is empty for the untapped.
//   - A side's media is taken from its locked source only. The first packet from the
//     negotiated address locks it; where that is a private address on the access side,
//     the first RTP or RTCP packet from anywhere does (NAT). Only signalling unlocks it.
//   - A closed session's ports rest before they are used again.
//
// Relay and Session are safe for concurrent use. Linux only.
package media
