package devpg

import "errors"

// Errors of the private Postgres.
var (
	ErrInUse      = errors.New("another ligate runs on this database folder: stop it first, or give this one its own data_dir")
	ErrNoBinary   = errors.New("no Postgres server found: install Debian's postgresql, or set database.url")
	ErrNoUser     = errors.New("no unprivileged user for Postgres: ligate runs as root and found neither postgres nor nobody")
	ErrUnreadable = errors.New("a folder above the database's is closed to the user that Postgres runs as: chmod o+x it, or choose another data_dir")
	ErrStopped    = errors.New("the private Postgres stopped by itself: see postgres.log in its folder")
	ErrNotReady   = errors.New("the private Postgres did not become ready: see postgres.log in its folder")
	ErrKilled     = errors.New("the private Postgres had to be stopped at once; it recovers at the next start")

	errExited = errors.New("the database server ended while it started")
)
