// Package open is the agency's side of sealed evidence: it takes the folder of one
// pulled session, holds every segment against the hashes and the chain that the
// operator gave, decrypts, and writes what people work with: iri.jsonl,
// call.pcapng, call.wav and manifest.json.
//
//	sealed/LIID/CIN/session.json, NNNNNN.age  ->  opened/LIID/CIN/...
//
// The sealed segments are the masters. Everything written here is derived from
// them, and the same segments opened by the same version give the same octets.
//
// In call.wav the target is left and the far party right, whoever called. Each
// side's first packet stands where it was captured; from there on the sender's RTP
// timestamps decide, so that within a side each sample is where its sender put it.
// What was lost is silence of the same length, and is listed.
//
// Invariants:
//   - Nothing is written unless every segment passed every check.
//   - Files appear under their final names complete, or not at all; mode 0600.
//   - A folder that this package did not write is never replaced.
//   - Errors name the segment and the rule, and never quote content.
//   - No input makes it panic or write audio longer than maxTimeline.
//
// One session is held in memory while it is opened: about 250 octets a packet,
// 100 MB for an hour's call. Functions are safe for concurrent use on different
// folders.
package open
