package deliver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ligate/ligate/mediation/etsi"
)

// readAll reads what a LEMF wrote of a session.
func readAll(t *testing.T, dir, liid string, cin int, file string) []etsi.PDU {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("liid-%x", liid), fmt.Sprint(cin), file))
	if err != nil {
		t.Fatal(err)
	}
	var all []etsi.PDU
	for len(b) > 0 {
		p, n, err := etsi.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		all, b = append(all, p), b[n:]
	}
	return all
}
