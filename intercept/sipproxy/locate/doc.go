// Package locate finds where a SIP host listens: NAPTR, SRV, A and AAAA records, after
// RFC 3263 clause 4, for a network element that has a choice of transports.
//
// Resolver is safe for concurrent use. Errors name the host that was asked for, which
// is configuration, never a user.
package locate
