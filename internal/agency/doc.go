// Package agency is the agency's own side: keys, and the client that fetches
// sealed segments over the handover API. It runs on the agency's machine; nothing
// of it runs at the operator.
//
// Invariants:
//   - Private keys are written with mode 0600 and leave no file of their own.
//   - A file under its final name is whole: it has the size and hash that the
//     operator announced.
//   - Pulling again fetches only what is not there.
package agency
