// Package li is the vocabulary that both sides of the tap speak: identifiers
// (LIID, XID, CIN), identities of parties and how text becomes one
// (E.164 numbers, SIP URIs), and the Task that the ADMF gives to a POI.
//
// It stands at the bottom of the import graph: every other package may use it,
// and it uses none of ours.
//
// Invariants:
//   - An Identity never prints itself: String, GoString, Format and LogValue give
//     "[identity]"; Reveal is the only way out.
//   - Two spellings of one number under one NumberPlan give equal Identities.
//   - An IRITask has no path to media; only a ContentTask opens one.
//
// All types are values and safe for concurrent use.
package li
