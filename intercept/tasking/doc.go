// Package tasking is the POI's knowledge of what to copy: the index of active
// targets and the X1 interface (TS 103 221-1) through which the ADMF changes it.
//
// It knows Tasks (XID, targets, kind, end) and nothing of warrants, agencies or
// the database, so a stolen gateway reveals no case.
//
// Invariants:
//   - A Tap is dead for ever once its Task was deactivated or its end has come by
//     the wall clock or by the monotonic clock, whichever is first. A clock that
//     steps back never revives it.
//   - A MediaGrant exists only for a ContentTask; only this package makes one.
//   - Match takes no lock and allocates nothing.
//   - The Server tells of every live tap that the call path can see or that copies were
//     taken under, whether it stands in the table of Tasks or not.
//   - A Task without an end of its own is refused, or gets the longest one configured.
//
// Index is safe for concurrent use.
package tasking
