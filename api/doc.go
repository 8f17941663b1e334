// Package api puts the three users' HTTP interfaces behind one handler:
// /admin/v1 for the compliance officer and the system administrator, /handover/v1
// for the agency, /audit/v1 for the auditor, /auth/v1 for signing in, and /openapi.json for all of
// them.
//
// Its sub-packages parse, authorise, call the domain and render; no rule of law
// lives here. Every act is on the audit log before it is answered.
//
// Invariants:
//   - Who shows neither a registered client certificate nor a session or machine token
//     gets no further than /openapi.json and the doors of /auth/v1 (docs/people.md).
//   - Each operation has a row in the table of roles that TestEveryOperationForEveryRole
//     holds it against.
//   - What is not the caller's own is answered like what does not exist.
//   - Bad input changes nothing and is answered with a problem (RFC 9457).
package api
