package pgtest

import (
	"bytes"
	"testing"

	"github.com/ligate/ligate/warrant/sealing"
)

// Master finds the master key of tests; each octet of it is octet.
func Master(t testing.TB, octet byte) func(string) (*sealing.Master, error) {
	t.Helper()
	m, err := sealing.NewMaster(bytes.Repeat([]byte{octet}, sealing.MasterBytes))
	if err != nil {
		t.Fatal(err)
	}
	return m.Only
}
