package document_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"filippo.io/age"

	"github.com/ligate/ligate/warrant/document"
)

func TestEachRecipientAloneOpens(t *testing.T) {
	t.Parallel()
	var keys []*age.X25519Identity
	var names []string
	for range 3 {
		k, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		keys, names = append(keys, k), append(names, k.Recipient().String())
	}
	sealer, err := document.New(names[:2])
	if err != nil {
		t.Fatal(err)
	}
	paper := []byte("%PDF-1.7 the order names +4930555001")
	sealed, err := sealer.Seal(paper)
	if err != nil || bytes.Contains(sealed, []byte("4930555001")) {
		t.Fatalf("sealed in clear, %v", err)
	}
	for i, k := range keys {
		r, err := age.Decrypt(bytes.NewReader(sealed), k)
		if i == 2 {
			if err == nil {
				t.Error("a key of nobody opened it")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, paper) {
			t.Errorf("recipient %d read %d octets, %v", i, len(got), err)
		}
	}
}

func TestBadRecipients(t *testing.T) {
	t.Parallel()
	for name, recipients := range map[string][]string{"none": nil, "empty": {""}, "no key": {"age1secret"}} {
		if _, err := document.New(recipients); !errors.Is(err, document.ErrRecipient) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
