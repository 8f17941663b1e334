package pgstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/li"
)

const benchTasks = 10_000

// BenchmarkWantedTasks reads 10,000 active warrants, each with a sealed target.
func BenchmarkWantedTasks(b *testing.B) {
	s := newFullStore(b)
	b.ReportAllocs()
	for b.Loop() {
		tasks, err := s.WantedTasks(b.Context(), time.Now())
		if err != nil || len(tasks) != benchTasks {
			b.Fatalf("%d tasks, %v", len(tasks), err)
		}
	}
}

// BenchmarkRotate seals them all anew.
func BenchmarkRotate(b *testing.B) {
	s := newFullStore(b)
	for b.Loop() {
		if done, err := s.Rotate(b.Context(), Rotation{Rows: true, Hashes: true}); err != nil || done.Rows != benchTasks {
			b.Fatalf("%d rows, %v", done.Rows, err)
		}
	}
}

// newFullStore is a store with benchTasks active warrants, written past the rules.
func newFullStore(b *testing.B) *Store {
	b.Helper()
	secret, _, err := audit.NewKey("bench")
	must(b, err)
	signer, err := note.NewSigner(secret)
	must(b, err)
	log, err := audit.New(audit.Config{Origin: "bench", Signer: signer})
	must(b, err)
	s, err := New(Config{Pool: pgtest.New(b), Audit: log, Master: pgtest.Master(b, 1)})
	must(b, err)
	must(b, s.OpenKeys(b.Context()))
	must(b, s.inTx(b.Context(), func(tx pgx.Tx) error {
		keys, err := s.keys(b.Context(), tx)
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue("set local session_replication_role = replica")
		for i := range benchTasks {
			id := newID()
			hashes, sealed, err := keys.seal(sealWarrant, id, []string{fmt.Sprintf("+4930%07d", i)})
			if err != nil {
				return err
			}
			batch.Queue(`insert into warrant (id, version, state, previous_state, liid, authority, reference, legal_basis, agency_id, targets_hash, targets_sealed,
				scope, valid_from, valid_until, notes, drafter, approver, created_at, updated_at)
				values ($1, 1, 'active', 'approved', $2, 'Court', '1', '100a', 'a', $3, $4, 'iri+cc', now() - interval '1 hour', now() + interval '1 day', '', 'x', 'y', now(), now())`,
				id, fmt.Sprintf("L-%d", i), hashes, sealed)
			batch.Queue("insert into task (xid, warrant_id, created_at) values ($1, $2, now())", li.NewXID().String(), id)
		}
		return tx.SendBatch(b.Context(), batch).Close()
	}))
	return s
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
