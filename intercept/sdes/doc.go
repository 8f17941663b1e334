// Package sdes opens SRTP (RFC 3711) whose keys stand in session descriptions
// (RFC 4568): it reads the values of a=crypto and decrypts copies of packets.
//
// Key and Opener hold key material. It is never logged, printed or part of an error.
// An Opener belongs to one goroutine at a time.
package sdes
