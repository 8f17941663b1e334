// Package bundle makes, on the agency's side, the file that goes to a court: one call
// as a zip that is a BagIt bag (RFC 8493), and checks one offline.
//
//	sealed/LIID/CIN/  ->  ligate-LIID-CIN.zip
//	                      data/segments/*.bin      master: what was sealed, with its salt
//	                      data/ps-pdu.ber          master: PS-PDUs of TS 102 232-1
//	                      data/call.pcapng         master: packets as tapped
//	                      data/call.wav            derived, as are iri.jsonl and iri.csv
//	                      data/operator-manifest.json, operator.p7s, audit.tlog-proof, custody.jsonl
//	                      manifest-sha256.txt, tagmanifest-sha256.txt, seal.p7s, seal.tsr
//
// What carries the proof is the segments: their hashes are in the operator's signed
// manifest, and Verify makes every other file again from them and compares octets.
//
// Invariants:
//   - The same pulled session, version and redaction give the same octets, seal and
//     time stamp aside.
//   - The zip has one form: its order, times and headers follow from its content, so
//     that no octet of it can change unseen.
//   - No name in it holds anything but the LIID, the CIN and segment numbers.
//   - A redacted bundle leaves out all segments of a kind, and everything made of
//     them; the chain holds still, and it names the whole bundle's hash.
//
// Functions are safe for concurrent use on different files. They hold a session in
// memory and need as much room beside the output as the bundle has.
package bundle
