package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/profile"
	"github.com/ligate/ligate/warrant/sealing"
)

// Channel is notified in each transaction that changes what should be tapped.
const Channel = "ligate_warrants"

// Config is what a Store needs; fields without a default are required.
type Config struct {
	Pool  *pgxpool.Pool
	Audit *audit.Log
	Now   func() time.Time // default time.Now

	// Limits are the law of the jurisdiction; the zero value knows the emergency numbers.
	Limits warrant.Limits
	// Profile is that of the jurisdiction, for records, their zone and reviews; nil = UTC
	// and the defaults of the product. It decides about orders through Limits.
	Profile *profile.Profile
	// Operator is who signs records; required for them.
	Operator string
	// Master finds master keys; nil = for processes that have no business with targets.
	Master Masters
	// Seal seals a paper to its keepers; nil = no papers are taken.
	Seal func(paper []byte) ([]byte, error)
}

// Masters gives the master key of that identifier; of the empty one, that which wraps
// a new key. Its error says which key is missing and where it belongs.
type Masters func(id string) (*sealing.Master, error)

// Store is the warrant database.
type Store struct {
	pool   *pgxpool.Pool
	audit  *audit.Log
	now    func() time.Time
	limits warrant.Limits
	seal   func([]byte) ([]byte, error)
	master Masters                     // nil = targets cannot be read
	key    atomic.Pointer[sealing.Key] // the newest that was opened

	profile  *profile.Profile // nil = none
	operator string

	wanted  wanted
	holding sync.Mutex // guards holder, while a session is opened too
	holder  *holder    // nil = nothing was held yet
}

// New validates the configuration.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil || cfg.Audit == nil {
		return nil, errors.New("pgstore: Pool and Audit are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Store{pool: cfg.Pool, audit: cfg.Audit, now: cfg.Now, limits: cfg.Limits, seal: cfg.Seal, profile: cfg.Profile, operator: cfg.Operator, master: cfg.Master}, nil
}

// clock is now in UTC with the database's precision.
func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// inTx runs f in a transaction and commits if f gives no error.
func (s *Store) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // no effect after Commit
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", interpret(err))
	}
	return nil
}

// interpret turns the database's refusal into the domain's, by constraint.
func interpret(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	if pg.Code == "22021" || pg.Code == "22P05" { // character_not_in_repertoire, untranslatable_character: such as NUL
		return &warrant.RuleError{Rule: warrant.RuleIncomplete, Reason: "a text holds an octet that no text has"}
	}
	switch pg.ConstraintName {
	case "warrant_four_eyes", "person_confirmed_by_another", "person_not_confirmed_by_self", "agency_confirmed_by_another", "agency_delivery_confirmed_by_another",
		"warrant_purge_four_eyes", "warrant_purge_two_people", "warrant_three_people", "warrant_original_four_eyes", "legal_hold_set_by_two",
		"legal_hold_released_by_two", "protected_number_confirmed_by_another", "protected_number_removed_by_two",
		"person_enabled_by_another", "person_not_enabled_by_self", "person_clearance_confirmed_by_another", "enrolment_confirmed_by_another",
		"enrolment_not_by_self", "machine_token_confirmed_by_another", "approval_signature_four_eyes":
		return &warrant.RuleError{Rule: warrant.RuleFourEyes, Reason: "one person may not do both"}
	case "warrant_protected_has_third":
		return &warrant.RuleError{Rule: warrant.RuleFourEyes, Reason: "a target is protected: a third person has to approve"}
	case "warrant_legal_step", "warrant_order_immutable", "warrant_identity_immutable", "warrant_approver_immutable", "warrant_only_narrows",
		"legal_hold_immutable", "protected_number_immutable":
		return &warrant.RuleError{Rule: warrant.RuleState, Reason: "the warrant's state does not allow it"}
	case "warrant_one_successor":
		return &warrant.RuleError{Rule: warrant.RuleState, Reason: "what it extends is extended already"}
	case "warrant_extension_follows":
		return &warrant.RuleError{Rule: warrant.RuleDates, Reason: "from: an extension begins when what it extends ends"}
	case "warrant_original_in_time":
		return &warrant.RuleError{Rule: warrant.RuleDates, Reason: "the original came too late: what was taken stays in quarantine"}
	case "warrant_purge_under_hold":
		return &warrant.RuleError{Rule: warrant.RuleHold, Reason: "a legal hold is in force: two people have to release it first"}
	case "warrant_liid_unique", "person_name_unique", "person_cert_unique", "agency_name_unique", "agency_user_pk", "warrant_document_once", "protected_number_once":
		return warrant.ErrExists
	case "approval_signature_pk", "person_oidc_pk", "passkey_pk", "machine_token_pk":
		return warrant.ErrExists
	case "incident_closed_by_two":
		return &warrant.RuleError{Rule: warrant.RuleFourEyes, Reason: "another person than who closed it has to confirm that"}
	case "incident_is_closed":
		return &warrant.RuleError{Rule: warrant.RuleState, Reason: "the incident is closed: open another one"}
	case "review_every_entry_has_a_result":
		return &warrant.RuleError{Rule: warrant.RuleState, Reason: "an entry of the sample has no result yet"}
	case "outage_recovery_pk", "review_pk", "review_result_pk", "review_close_pk":
		return warrant.ErrExists
	case "review_result_sample":
		return warrant.ErrNotFound
	case "warrant_approver_active":
		return &warrant.RuleError{Rule: warrant.RuleNotEnrolled, Reason: "this person is disabled or no longer cleared"}
	case "warrant_approval_signed":
		return &warrant.RuleError{Rule: warrant.RuleFourEyes, Reason: "sign this version with your passkey first"}
	case "warrant_version_follows":
		return warrant.ErrVersion
	case "warrant_agency", "warrant_agency_confirmed":
		return &warrant.RuleError{Rule: warrant.RuleAgency, Reason: "no such confirmed agency"}
	}
	if pg.ConstraintName != "" {
		return fmt.Errorf("database constraint %s", pg.ConstraintName) // its text may quote a row
	}
	return fmt.Errorf("database error %s", pg.Code)
}

// entry is an audit entry of a person's act.
func entry(by warrant.Actor, action string, liid li.LIID, object string) audit.Entry {
	return audit.Entry{
		Actor: string(by.ID), Role: by.Role.String(), Action: action, Warrant: string(liid), Object: object, Result: "done", Source: by.Source,
	}
}

// system is an audit entry of ligate itself.
func system(action string, liid li.LIID, object string) audit.Entry {
	return audit.Entry{Actor: "ligate", Role: "system", Action: action, Warrant: string(liid), Object: object, Result: "done"}
}

// refused records an act that a rule forbade and returns the rule's error. If the
// record cannot be made, that is the error.
func (s *Store) refused(ctx context.Context, e audit.Entry, err error) error {
	var rule *warrant.RuleError
	switch {
	case errors.As(err, &rule):
		e.Detail = map[string]string{"rule": string(rule.Rule)}
		if rule.Rule == warrant.RuleReason {
			e.Reason = "" // it may name a target
		}
	case errors.Is(err, warrant.ErrForbidden):
		e.Detail = map[string]string{"rule": "role"}
	default:
		return err
	}
	e.Result = "refused"
	e.Object = printable(e.Object)
	if _, auditErr := s.audit.Record(ctx, s.pool, e); auditErr != nil {
		return auditErr
	}
	return err
}

// printable is a name as a caller gave it, such as the log can keep.
func printable(name string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(name, "?"), "\x00", "?")
}

// Record writes an audit entry in a transaction of its own: what only reads still
// leaves its trace, before it is answered.
func (s *Store) Record(ctx context.Context, e audit.Entry) error {
	_, err := s.audit.Record(ctx, s.pool, e)
	return err
}

func newID() string { return uuid.NewString() }
