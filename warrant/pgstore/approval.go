package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// KeepApproval keeps a verified signature of by over a version that waits for
// approval, and notes the fresh second factor of the session. k is the passkey after
// use. Whoever drafted cannot sign.
func (s *Store) KeepApproval(ctx context.Context, by warrant.Actor, session string, a signin.Approval, k signin.Passkey) error {
	a.CreatedAt = s.clock()
	e := entry(by, "approval.sign", "", string(a.WarrantID))
	e.Detail = map[string]string{"version": fmt.Sprint(a.Version), "public_key": keyHash(a.PublicKey)}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		w, err := s.lock(ctx, tx, a.WarrantID)
		if err != nil {
			return err
		}
		e.Warrant = string(w.LIID)
		switch {
		case w.Version != a.Version:
			return warrant.ErrVersion
		case w.State != warrant.Submitted:
			return &warrant.RuleError{Rule: warrant.RuleState, Reason: "only a submitted warrant can be approved"}
		case w.Drafter == by.ID:
			return &warrant.RuleError{Rule: warrant.RuleFourEyes, Reason: "the approver must be another person than the drafter"}
		}
		if err := s.prove(ctx, tx, session, k); err != nil {
			return err
		}
		if err := insertApproval(ctx, tx, a); err != nil {
			return err
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
	return s.refused(ctx, e, err)
}

func insertApproval(ctx context.Context, tx pgx.Tx, a signin.Approval) error {
	_, err := tx.Exec(ctx, `insert into approval_signature (warrant_id, version, person_id, order_hash, nonce, rp_id, origin, credential_id,
		public_key, authenticator_data, client_data, signature, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		a.WarrantID, a.Version, a.PersonID, a.OrderHash, a.Nonce, a.RPID, a.Origin, a.CredentialID,
		a.PublicKey, a.AuthenticatorData, a.ClientData, a.Signature, a.CreatedAt)
	if err != nil {
		return fmt.Errorf("keep approval: %w", interpret(err))
	}
	return nil
}

// Approvals returns the signatures over a warrant's versions, oldest first. The
// reading is on the audit log first.
func (s *Store) Approvals(ctx context.Context, by warrant.Actor, id warrant.ID) ([]signin.Approval, error) {
	e := entry(by, "approval.read", "", string(id))
	if err := mayRead(by); err != nil {
		return nil, s.refused(ctx, e, err)
	}
	if err := s.Record(ctx, e); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `select warrant_id, version, person_id, order_hash, nonce, rp_id, origin, credential_id,
		public_key, authenticator_data, client_data, signature, created_at from approval_signature where warrant_id = $1 order by created_at, person_id`, id)
	if err != nil {
		return nil, fmt.Errorf("list approvals: %w", interpret(err))
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a signin.Approval, err error) {
		err = row.Scan(&a.WarrantID, &a.Version, &a.PersonID, &a.OrderHash, &a.Nonce, &a.RPID, &a.Origin, &a.CredentialID,
			&a.PublicKey, &a.AuthenticatorData, &a.ClientData, &a.Signature, &a.CreatedAt)
		a.CreatedAt = a.CreatedAt.UTC()
		return a, err
	})
}
