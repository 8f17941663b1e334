// Package api puts the three users' HTTP interfaces behind one handler:
// /admin/v1 for the compliance officer and the system administrator, /handover/v1
// for the agency, /audit/v1 for the auditor, and /openapi.json for all of them.
//
// Its sub-packages parse, authorise, call the domain and render; no rule of law
// lives here. Every act is on the audit log before it is answered.
//
// Invariants:
//   - Without a registered client certificate only /openapi.json answers.
//   - What is not the caller's own is answered like what does not exist.
//   - Bad input changes nothing and is answered with a problem (RFC 9457).
package api
