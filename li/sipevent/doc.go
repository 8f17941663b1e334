// Package sipevent says what a SIP message means for the session it belongs to.
// One pure classifier serves the tap, which puts its answer into the X2 PDU, and
// any X2 listener, so that mediation can take SIP messages as octets.
//
// Invariant: an Event holds no identity, address or Call-ID.
package sipevent
