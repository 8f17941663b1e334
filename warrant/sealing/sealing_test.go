package sealing_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ligate/ligate/warrant/sealing"
)

func master(t *testing.T, octet byte) *sealing.Master {
	t.Helper()
	m, err := sealing.NewMaster(bytes.Repeat([]byte{octet}, sealing.MasterBytes))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func key(t *testing.T) *sealing.Key {
	t.Helper()
	k, err := sealing.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const number = "+4930555001"

var here = sealing.Place{Table: "warrant", Row: "w-1", Column: "targets"} //nolint:gochecknoglobals // a constant

func TestSealOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	k := key(t)
	sealed := k.Seal(here, []byte(number))
	if got, err := k.Open(here, sealed); err != nil || string(got) != number {
		t.Fatalf("%q, %v", got, err)
	}
	if bytes.Contains(sealed, []byte(number[1:])) || bytes.Equal(sealed, k.Seal(here, []byte(number))) {
		t.Error("the sealed value tells something")
	}
	for _, elsewhere := range []sealing.Place{
		{"warrant", "w-2", "targets"}, {"warrant", "w-1", "notes"}, {"warrants", "w-1", "targets"}, {"warrant", "w-1t", "argets"}, {},
	} {
		if got, err := k.Open(elsewhere, sealed); !errors.Is(err, sealing.ErrSealed) || got != nil {
			t.Errorf("it opens at %v: %v", elsewhere, err)
		}
	}
	if _, err := key(t).Open(here, sealed); !errors.Is(err, sealing.ErrKey) {
		t.Errorf("another key: %v", err)
	}
}

// Each octet counts, and so does each missing one.
func TestChangedSealsDoNotOpen(t *testing.T) {
	t.Parallel()
	k := key(t)
	sealed := k.Seal(here, []byte(number))
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if got, err := k.Open(here, changed); err == nil || got != nil {
			t.Errorf("octet %d does not count", i)
		}
		if got, err := k.Open(here, sealed[:i]); err == nil || got != nil {
			t.Errorf("%d octets open", i)
		}
	}
}

func TestWrapping(t *testing.T) {
	t.Parallel()
	old, next, k := master(t, 1), master(t, 2), key(t)
	wrapped := old.Wrap(k)
	if _, err := next.Unwrap(k.ID(), wrapped); !errors.Is(err, sealing.ErrMaster) {
		t.Errorf("another master key: %v", err)
	}
	if _, err := old.Unwrap(key(t).ID(), wrapped); !errors.Is(err, sealing.ErrMaster) {
		t.Errorf("another key's name: %v", err)
	}
	if old.ID() == next.ID() || old.ID() != master(t, 1).ID() {
		t.Error("names do not tell master keys apart")
	}
	opened, err := old.Unwrap(k.ID(), wrapped)
	if err != nil {
		t.Fatal(err)
	}
	again, err := next.Unwrap(k.ID(), next.Wrap(opened))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(here, k.Seal(here, []byte(number))); err != nil || string(got) != number {
		t.Errorf("%q, %v", got, err)
	}
	if !bytes.Equal(again.Hash(number), k.Hash(number)) {
		t.Error("a new master key changes hashes")
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := sealing.NewMaster(make([]byte, n)); !errors.Is(err, sealing.ErrMasterLength) {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}

func TestHashes(t *testing.T) {
	t.Parallel()
	k := key(t)
	renewed, err := k.Renew()
	if err != nil {
		t.Fatal(err)
	}
	plain := sha256.Sum256([]byte(number))
	switch {
	case !bytes.Equal(k.Hash(number), k.Hash(number)), bytes.Equal(k.Hash(number), k.Hash(number+"1")):
		t.Error("hashes do not compare")
	case bytes.Equal(k.Hash(number), plain[:]), bytes.Equal(k.Hash(number), key(t).Hash(number)), bytes.Equal(k.Hash(number), k.HashOrder([]byte(number))):
		t.Error("a hash does not depend on its key")
	case !bytes.Equal(k.Hash(number), renewed.Hash(number)):
		t.Error("a renewed key hashes otherwise")
	}
	if _, err := renewed.Open(here, k.Seal(here, nil)); renewed.ID() == k.ID() || !errors.Is(err, sealing.ErrKey) {
		t.Errorf("a renewed key seals as before: %v", err)
	}
}

// No verb prints a secret of a key.
func TestKeysAreNotPrinted(t *testing.T) {
	t.Parallel()
	m, err := sealing.NewMaster([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, of := range []any{m, *m, key(t), *key(t), struct{ K *sealing.Key }{key(t)}} {
			if got := fmt.Sprintf(format, of); !strings.Contains(got, "[key]") || len(got) > len("struct { K *sealing.Key }{K:[key]}") {
				t.Errorf("%s prints %s", format, got)
			}
		}
	}
}
