// Package share divides the partitions of a bus among the mediations that run, so
// that each partition is worked on by one of them, and by another one soon after that
// one is gone.
//
// Every process joins the work with a session of the database and looks once a second
// who else has: each then knows its fair share, leaves what it has too much, and takes
// what is free. A partition is a lock of that session, so two processes never hold
// one, and what dies holds nothing: kill -9 frees at once, a hung process or a machine
// that is gone within six seconds.
//
// Invariants:
//   - A part runs only while its lock is held, as far as a process can know: a process
//     that was stopped learns it when it goes on. What it does until then is refused by
//     the store, since its sessions have moved (mediation/correlate, ErrTaken).
//   - A part is left only after its run has ended.
//   - With n members that all can work each has 16/n parts, rounded up or down, soon
//     after the last change, and no part is free.
package share
