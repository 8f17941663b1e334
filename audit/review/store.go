package review

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/audit"
)

// Errors of this package.
var (
	// ErrNotFound says that there is no such request, pseudonym or name to be seen.
	ErrNotFound = errors.New("review: no such request, pseudonym or entry, or it is not yours to see")
	// ErrFourEyes says that who asked confirmed.
	ErrFourEyes = errors.New("review: another person must confirm")
	// ErrRole says that the person's role may not ask for or confirm it.
	ErrRole = errors.New("review: the role may not ask for or confirm this")
	// ErrState says that the request was confirmed already.
	ErrState = errors.New("review: the request was confirmed already")
	// ErrReason says that a reason is missing or too long.
	ErrReason = errors.New("review: a reason of at most 2000 characters is required")
	// ErrPeriod refuses a report's period.
	ErrPeriod = errors.New("review: want from before until, and at most two years")
)

// Config is what a Store needs; fields without a default are required.
type Config struct {
	Pool   *pgxpool.Pool
	Log    *audit.Log
	Now    func() time.Time // default time.Now
	Hours  Hours            // default 7 to 19 o'clock UTC, Monday to Friday
	Unmask time.Duration    // how long a name may be seen; default 1h, at most a day
}

// Store reads and requests.
type Store struct{ cfg Config }

const (
	defaultUnmask = time.Hour
	maxUnmask     = 24 * time.Hour
	maxReason     = 2000
)

// New validates the configuration.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil || cfg.Log == nil {
		return nil, errors.New("review: Pool and Log are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Unmask == 0 {
		cfg.Unmask = defaultUnmask
	}
	if cfg.Unmask < 0 || cfg.Unmask > maxUnmask {
		return nil, errors.New("review: Unmask: want at most a day")
	}
	if cfg.Hours == (Hours{}) {
		cfg.Hours = Hours{From: 7, Until: 19}
	}
	return &Store{cfg: cfg}, nil
}

// Who asks or confirms.
type Who struct {
	ID, Role, Source string
}

func (w Who) entry(action, object, result string) audit.Entry {
	return audit.Entry{Actor: w.ID, Role: w.Role, Action: action, Object: object, Result: result, Source: w.Source}
}

// now has the precision that the database keeps.
func (s *Store) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

func (s *Store) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	if err := pgx.BeginFunc(ctx, s.cfg.Pool, do); err != nil {
		return interpret(err)
	}
	return nil
}

// interpret turns what the database's rules refuse into errors of this package.
func interpret(err error) error {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.ConstraintName {
	case "audit_request_confirmed_by_another":
		return ErrFourEyes
	case "audit_request_asked_by_role", "audit_request_confirmed_by_role":
		return ErrRole
	case "audit_request_immutable":
		return ErrState
	}
	return fmt.Errorf("review: database refused (%s)", refused.Code)
}
