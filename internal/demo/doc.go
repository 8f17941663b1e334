// Package demo plays the world around ligate on loopback: subscribers' phones and
// a PSTN gateway that speak SIP and send recorded speech as RTP. The demo command
// and the end-to-end tests use it.
//
// The recordings in speech/ are synthesised (8 kHz G.711 A-law, no header).
package demo
