package pgstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/sealing"
)

// Errors of sealed targets.
var (
	// ErrNoMaster: this process was given no master key, and has no business with targets.
	ErrNoMaster = errors.New("targets are sealed, and this process has no master key")
	// ErrKeyLost: rows are sealed, and the database holds no key.
	ErrKeyLost = errors.New("targets are sealed, but the table sealing_key is empty: restore the database as a whole")
	// ErrClear: an earlier build wrote targets that nobody has sealed yet.
	ErrClear = errors.New("targets of an earlier build stand in clear: run ligate secrets seal first")
	// ErrTampered: a row's sealed targets are not those that its hashes say.
	ErrTampered = errors.New("the targets of a row are not those that its hashes say: the row was changed")
)

// Places of sealed values. The row of a version or an act is what it is of, and its number.
const (
	sealWarrant       = "warrant"
	sealVersion       = "warrant_version"
	sealProtected     = "protected_number"
	sealCertification = "certification"
	sealIncident      = "incident"
	sealAct           = "incident_act"
)

// padding is what sealed texts are filled up to, so that their length tells little.
const padding = 64

// keyring opens and seals the targets of rows, under the key of one transaction.
type keyring struct{ key *sealing.Key } // nil = targets stay closed

// keys returns the database's key. Its table stays locked against a change of keys until
// the transaction ends: what it reads and writes is under one key.
func (s *Store) keys(ctx context.Context, tx pgx.Tx) (keyring, error) {
	if s.master == nil {
		return keyring{}, ErrNoMaster
	}
	var id, master string
	var wrapped []byte
	err := tx.QueryRow(ctx, "select id, master, wrapped from sealing_key").Scan(&id, &master, &wrapped)
	if errors.Is(err, pgx.ErrNoRows) {
		return keyring{}, ErrKeyLost
	}
	if err != nil {
		return keyring{}, fmt.Errorf("read key: %w", interpret(err))
	}
	if known := s.key.Load(); known != nil && known.ID() == id {
		return keyring{known}, nil
	}
	key, err := unwrap(s.master, id, master, wrapped)
	if err != nil {
		return keyring{}, err
	}
	s.key.Store(key)
	return keyring{key}, nil
}

func unwrap(masters Masters, id, master string, wrapped []byte) (*sealing.Key, error) {
	m, err := masters(master)
	if err != nil {
		return nil, err
	}
	return m.Unwrap(id, wrapped)
}

// OpenKeys readies the store for targets: it makes the database's key at the first
// start, and says plainly when the master key is the wrong one or clear rows are left.
func (s *Store) OpenKeys(ctx context.Context) error {
	if s.master == nil {
		return ErrNoMaster
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if err := s.makeKey(ctx, tx); err != nil {
			return err
		}
		if _, err := s.keys(ctx, tx); err != nil {
			return err
		}
		clear, err := anyRow(ctx, tx, func(t sealedTable) string { return t.clear })
		if err == nil && clear {
			err = ErrClear
		}
		return err
	})
}

func (s *Store) makeKey(ctx context.Context, tx pgx.Tx) error {
	var there bool
	if err := tx.QueryRow(ctx, "select exists (select from sealing_key)").Scan(&there); err != nil || there {
		return interpret(err)
	}
	sealed, err := anyRow(ctx, tx, func(t sealedTable) string { return t.sealed })
	if err != nil {
		return err
	}
	if sealed {
		return ErrKeyLost
	}
	m, err := s.master("")
	if err != nil {
		return err
	}
	key, err := sealing.NewKey()
	if err != nil {
		return err
	}
	// Of several first starts at once one makes the key.
	_, err = tx.Exec(ctx, "insert into sealing_key (id, master, wrapped) values ($1, $2, $3) on conflict do nothing", key.ID(), m.ID(), m.Wrap(key))
	if err != nil {
		return fmt.Errorf("keep key: %w", interpret(err))
	}
	return nil
}

// anyRow reports whether any table has a row of which its condition holds.
func anyRow(ctx context.Context, tx pgx.Tx, condition func(sealedTable) string) (found bool, err error) {
	for _, t := range sealedTables() {
		err = tx.QueryRow(ctx, "select exists (select from "+t.name+" where "+condition(t)+")").Scan(&found)
		if err != nil {
			return false, fmt.Errorf("look for rows: %w", interpret(err))
		}
		if found {
			return true, nil
		}
	}
	return false, nil
}

func versionRow(id warrant.ID, version int) string { return fmt.Sprintf("%s/%d", id, version) }

func place(table, row string) sealing.Place {
	return sealing.Place{Table: table, Row: row, Column: "targets"}
}

// seal gives the hash of each text, and all texts sealed for their row.
func (r keyring) seal(table, row string, texts []string) (hashes [][]byte, sealed []byte, err error) {
	plain, err := json.Marshal(texts)
	if err != nil {
		return nil, nil, fmt.Errorf("encode targets: %w", err)
	}
	fill := (padding - len(plain)%padding) % padding
	plain = append(plain, bytes.Repeat([]byte{' '}, fill)...)
	return r.hashes(texts), r.key.Seal(place(table, row), plain), nil
}

func (r keyring) hashes(texts []string) [][]byte {
	out := make([][]byte, len(texts))
	for i, text := range texts {
		out[i] = r.key.Hash(text)
	}
	return out
}

// open gives the texts of a row, if they are those that the hashes say.
func (r keyring) open(table, row string, hashes [][]byte, sealed []byte) ([]string, error) {
	plain, err := r.key.Open(place(table, row), sealed)
	if err != nil {
		return nil, err
	}
	var texts []string
	if err := json.Unmarshal(plain, &texts); err != nil {
		return nil, ErrTampered
	}
	if len(texts) != len(hashes) {
		return nil, ErrTampered
	}
	for i, text := range texts {
		if !bytes.Equal(r.key.Hash(text), hashes[i]) {
			return nil, ErrTampered
		}
	}
	return texts, nil
}

// targets opens the identities of a row.
func (r keyring) targets(table, row string, hashes [][]byte, sealed []byte) ([]li.Identity, error) {
	texts, err := r.open(table, row, hashes, sealed)
	if err != nil {
		return nil, err
	}
	return decodeTargets(texts)
}
