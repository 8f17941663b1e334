// Package attest is what the operator says of a session once all of it has come: a
// manifest of its facts, segments, chain and gaps, signed with the operator's
// certificate (CMS, detached), and the proof that the manifest's hash is on the audit
// log.
//
//	mediation closes a session -> operator-manifest.json, operator.p7s
//	the agency asks for it     -> audit.tlog-proof, custody.jsonl, and a zip of it all
//
// Invariants:
//   - A manifest holds hashes, counts and times; neither content nor an identity.
//   - The plaintext's hash is over a salt that only the sealed segment holds: who has
//     the manifest alone can confirm no guess at content.
//   - A signature counts only with the certificate that it names within what it signs.
//
// Functions are safe for concurrent use. Specifications: RFC 5652 (CMS), RFC 5035
// (the signer's certificate among what is signed), C2SP tlog-proof.
package attest
