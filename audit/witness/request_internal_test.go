package witness

import (
	"bytes"
	"errors"
	"testing"
)

// What is read is written back octet for octet; what is refused gives nothing.
func FuzzParseRequest(f *testing.F) {
	hash := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	for _, seed := range []string{"old 0\n\no\n1\n" + hash + "\n— o AAAA\n", "old 12\n" + hash + hash + "\nx", "old 1\n" + hash, "old 01\n\nx", "", "old -1\n\n", "\n\n", "old 9223372036854775808\n\n", "old 1\n" + hash[:44] + "\r\n\nx", "old 1\n" + hash[:42] + "B=\n\nx"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err != nil {
			if !errors.Is(err, ErrRequest) || r.old != 0 || r.proof != nil || r.checkpoint != nil {
				t.Fatalf("refused with %v and %+v", err, r)
			}
			return
		}
		if len(r.proof) > maxProof || r.old < 0 {
			t.Fatalf("limits: %d hashes, old %d", len(r.proof), r.old)
		}
		if got := r.encode(); !bytes.Equal(got, b) {
			t.Fatalf("%q was read from %q", got, b)
		}
	})
}
