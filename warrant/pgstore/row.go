package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/sealing"
)

// warrantColumns are read by scanWarrant, of a warrant under the alias w.
const warrantColumns = `w.id, w.version, w.state, w.liid, w.authority, w.reference, w.legal_basis, w.agency_id, w.targets_hash, w.targets_sealed, w.scope,
	w.valid_from, w.valid_until, w.notes, coalesce(w.predecessor, ''), w.drafter, coalesce(w.approver, ''), w.stopped_at, coalesce(w.purge_by, ''),
	w.created_at, w.updated_at, coalesce(w.second_approver, ''), w.protected, w.provisional, w.original_due,
	coalesce(encode(w.original_sha256, 'hex'), ''), coalesce(w.original_by, ''), w.original_at, coalesce(w.purged_by, '')`

// scanWarrant reads a warrant and opens its targets. Where these do not open, the rest
// of the warrant comes with the error.
func (r keyring) scanWarrant(row pgx.CollectableRow) (warrant.Warrant, error) {
	var w warrant.Warrant
	var state, scope string
	var hashes [][]byte
	var sealed []byte
	var stopped, due, originalAt *time.Time
	err := row.Scan(&w.ID, &w.Version, &state, &w.LIID, &w.Authority, &w.Reference, &w.LegalBasis, &w.AgencyID, &hashes, &sealed, &scope,
		&w.From, &w.Until, &w.Notes, &w.Predecessor, &w.Drafter, &w.Approver, &stopped, &w.PurgeBy, &w.CreatedAt, &w.UpdatedAt,
		&w.SecondApprover, &w.Protected, &w.Provisional, &due, &w.Original.SHA256, &w.Original.By, &originalAt, &w.PurgedBy)
	if err != nil {
		return warrant.Warrant{}, err
	}
	if w.State, err = warrant.ParseState(state); err != nil {
		return warrant.Warrant{}, err
	}
	if w.Scope, err = warrant.ParseScope(scope); err != nil {
		return warrant.Warrant{}, err
	}
	w.StoppedAt, w.OriginalDue, w.Original.At = orZero(stopped), orZero(due), orZero(originalAt)
	for _, t := range []*time.Time{&w.From, &w.Until, &w.CreatedAt, &w.UpdatedAt} {
		*t = t.UTC()
	}
	if r.key == nil {
		return w, nil
	}
	if w.Targets, err = r.targets(sealWarrant, string(w.ID), hashes, sealed); err != nil {
		return w, &unreadableError{LIID: w.LIID, Err: err}
	}
	return w, nil
}

// unreadableError says whose targets do not open.
type unreadableError struct {
	LIID li.LIID
	Err  error
}

func (e *unreadableError) Error() string { return "open targets: " + e.Err.Error() }

// unreadable reports whether one row is at fault, and not the key.
func unreadable(err error) bool {
	var row *unreadableError
	return errors.As(err, &row) && !errors.Is(err, sealing.ErrKey)
}

// Unwrap gives the reason.
func (e *unreadableError) Unwrap() error { return e.Err }

// leading takes what stands before the other columns off a row.
type leading struct {
	pgx.CollectableRow
	dest []any
}

// Scan reads the leading columns and then dest.
func (r leading) Scan(dest ...any) error { return r.CollectableRow.Scan(append(r.dest, dest...)...) }

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// encodeTargets writes identities as ParseTarget reads them back: they were
// normalised once.
func encodeTargets(targets []li.Identity) []string {
	out := make([]string, len(targets))
	for i, t := range targets {
		out[i] = t.Reveal()
		if t.Kind() == li.E164 {
			out[i] = "+" + out[i]
		}
	}
	return out
}

func decodeTargets(texts []string) ([]li.Identity, error) {
	targets := make([]li.Identity, len(texts))
	for i, text := range texts {
		id, err := li.NumberPlan{}.ParseTarget(text)
		if err != nil {
			return nil, fmt.Errorf("stored target: %w", err)
		}
		targets[i] = id
	}
	return targets, nil
}

// lock reads a warrant for change.
func (s *Store) lock(ctx context.Context, tx pgx.Tx, id warrant.ID) (warrant.Warrant, error) {
	keys, err := s.keys(ctx, tx)
	if err != nil {
		return warrant.Warrant{}, err
	}
	rows, err := tx.Query(ctx, "select "+warrantColumns+" from warrant w where w.id = $1 for update", id)
	if err != nil {
		return warrant.Warrant{}, fmt.Errorf("read warrant: %w", interpret(err))
	}
	w, err := pgx.CollectExactlyOneRow(rows, keys.scanWarrant)
	return w, notFound(err)
}

func (s *Store) insert(ctx context.Context, tx pgx.Tx, w warrant.Warrant, e audit.Entry) error {
	keys, err := s.keys(ctx, tx)
	if err != nil {
		return err
	}
	hashes, sealed, err := keys.seal(sealWarrant, string(w.ID), encodeTargets(w.Targets))
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into warrant (id, version, state, previous_state, liid, authority, reference, legal_basis, agency_id, targets_hash, targets_sealed,
		scope, valid_from, valid_until, notes, predecessor, drafter, created_at, updated_at, provisional, original_due)
		values ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, nullif($15, ''), $16, $17, $18, $19, $20)`,
		w.ID, w.Version, w.State.String(), w.LIID, w.Authority, w.Reference, w.LegalBasis, w.AgencyID, hashes, sealed,
		w.Scope.String(), w.From, w.Until, w.Notes, w.Predecessor, w.Drafter, w.CreatedAt, w.UpdatedAt, w.Provisional, timeOrNull(w.OriginalDue))
	if err != nil {
		return interpret(err)
	}
	return keepVersion(ctx, tx, keys, w, e)
}

// update writes a warrant; its targets are sealed anew only if they changed, and stay
// as they are where they could not be read.
func (s *Store) update(ctx context.Context, tx pgx.Tx, w warrant.Warrant, e audit.Entry) error {
	keys, err := s.keys(ctx, tx)
	if err != nil {
		return err
	}
	hashes, sealed, err := keys.sealTargets(sealWarrant, string(w.ID), w)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update warrant set version = $2, state = $3, liid = $4, authority = $5, reference = $6, legal_basis = $7, agency_id = $8,
		targets_hash = coalesce($9, targets_hash), targets_sealed = case when targets_hash = $9 then targets_sealed else coalesce($28, targets_sealed) end, scope = $10, valid_from = $11, valid_until = $12, notes = $13, predecessor = nullif($14, ''), drafter = $15,
		approver = nullif($16, ''), stopped_at = $17, purge_by = nullif($18, ''), updated_at = $19, second_approver = nullif($20, ''),
		protected = $21, provisional = $22, original_due = $23, original_sha256 = decode(nullif($24, ''), 'hex'), original_by = nullif($25, ''),
		original_at = $26, purged_by = nullif($27, '') where id = $1`,
		w.ID, w.Version, w.State.String(), w.LIID, w.Authority, w.Reference, w.LegalBasis, w.AgencyID, hashes,
		w.Scope.String(), w.From, w.Until, w.Notes, w.Predecessor, w.Drafter, w.Approver, timeOrNull(w.StoppedAt), w.PurgeBy, w.UpdatedAt,
		w.SecondApprover, w.Protected, w.Provisional, timeOrNull(w.OriginalDue), w.Original.SHA256, w.Original.By, timeOrNull(w.Original.At), w.PurgedBy, sealed)
	if err != nil {
		return interpret(err)
	}
	return keepVersion(ctx, tx, keys, w, e)
}

// sealTargets seals a warrant's targets; nothing where they could not be read.
func (r keyring) sealTargets(table, row string, w warrant.Warrant) (hashes [][]byte, sealed []byte, err error) {
	if len(w.Targets) == 0 {
		return nil, nil, nil
	}
	return r.seal(table, row, encodeTargets(w.Targets))
}

// keepVersion keeps the version that an act made, with who did it, why and from where.
func keepVersion(ctx context.Context, tx pgx.Tx, keys keyring, w warrant.Warrant, e audit.Entry) error {
	body, err := json.Marshal(map[string]any{
		"state": w.State.String(), "liid": w.LIID, "authority": w.Authority, "reference": w.Reference, "legal_basis": w.LegalBasis,
		"agency_id": w.AgencyID, "scope": w.Scope.String(), "from": w.From, "until": w.Until,
		"notes": w.Notes, "predecessor": w.Predecessor, "drafter": w.Drafter, "approver": w.Approver, "second_approver": w.SecondApprover,
		"protected": w.Protected, "provisional": w.Provisional, "original_due": timeOrNull(w.OriginalDue), "original": w.Original.SHA256,
		"purge_by": w.PurgeBy, "purged_by": w.PurgedBy,
	})
	if err != nil {
		return fmt.Errorf("encode version: %w", err)
	}
	hashes, sealed, err := keys.sealTargets(sealVersion, versionRow(w.ID, w.Version), w)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into warrant_version (warrant_id, version, body, by, at, act, role, source, reason, targets_hash, targets_sealed)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		w.ID, w.Version, body, e.Actor, w.UpdatedAt, strings.TrimPrefix(e.Action, "warrant."), e.Role, e.Source, e.Reason, hashes, sealed)
	if err != nil {
		return fmt.Errorf("keep version: %w", interpret(err))
	}
	return nil
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
