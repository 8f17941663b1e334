// Package bench measures the gateway's parts on this machine. The load runs in a
// process of its own (Load), so that the processor time of the measured process is
// that of the measured part.
//
// Invariants:
//   - What is counted was seen: packets at the load's receiving sockets, copies in
//     the tee's own count of what the bus stored.
//   - A comparison is a ratio within one run, its variants in turn.
//   - Traffic stays on loopback addresses.
package bench
