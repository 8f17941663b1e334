// Package sealing keeps what names a target so that the database alone does not:
// envelope encryption, and keyed hashes by which the database still compares.
//
//	master key (a file, a systemd credential; never in the database)
//	   └─ wraps one Key, which stands in the database: 64 random octets
//	        ├─ 32 octets ─HKDF─► AES-256-GCM     Seal, Open
//	        └─ 32 octets ─HKDF─► HMAC-SHA-256    Hash (targets), HashOrder (whole orders)
//
// Invariants:
//   - What Seal returns opens at its own Place only, under its own Key only: a row that
//     is copied elsewhere, or changed, does not open.
//   - A sealed value names its Key; what was sealed under another one is ErrKey.
//   - A new master key changes neither sealed values nor hashes; a new Key from Renew
//     keeps the hashes.
//   - No error and no method but Wrap shows key material, and that only wrapped.
//
// The package is pure: it reads no file and knows no database. All types are safe for
// concurrent use.
package sealing
