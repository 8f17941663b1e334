// Package devpg runs a private Postgres for a deployment that names none: made by
// initdb in a folder of its own from the system's binaries, reached over a Unix
// socket only, as an unprivileged user when ligate runs as root.
//
// # Who gets in
//
// No TCP port is opened. The socket's folder has mode 0700, and pg_hba.conf admits
// by peer alone: the kernel says which user is at the other end, and only the user
// that ligate runs as is mapped to the three roles. No password exists that could
// leak. Both files stand outside the data folder, written at each start.
//
//	ligate        superuser; makes databases and roles, and is for devpg and tests
//	ligate_owner  owns the database and its tables; runs the migrations
//	ligate_app    owns nothing; what migrations grants it, and never more
//
// Invariants:
//   - One folder is served by one ligate at a time: a lock on a file in it decides,
//     and the kernel drops it with its holder.
//   - The server dies with us: the kernel sends it a fast shutdown when ligate ends,
//     however that happens. One that is left all the same is stopped before a new one
//     starts; Postgres then recovers from its log.
//   - A data folder is complete or not there: initdb writes beside it and a rename
//     puts it in place.
//   - Data checksums and fsync are on, and statements and values stay out of the
//     server's log.
//
// A Server is for one Run. URL, AppURL and AdminURL are safe for concurrent use once
// Ready is closed.
package devpg
