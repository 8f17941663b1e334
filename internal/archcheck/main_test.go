package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBreach(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, imp string
		ok        bool
	}{
		{"intercept/tee", module + "li/x2x3", true},
		{"intercept/tee", module + "intercept/tasking", true},
		{"intercept/tee", module + "warrant", false},
		{"intercept/sipproxy", module + "mediation/evidence", false},
		{"li", module + "bus", false},
		{"li/x1", module + "li", true},
		{"audit", module + "li", false},
		{"api/admin", module + "warrant/pgstore", true},
		{"api/admin", module + "intercept/tee", false},
		{"mediation/evidence/segment", module + "warrant", false},
		{"mediation/correlate", module + "warrant", true},
		{"intercept/tee", "github.com/nats-io/nats.go", false},
		{"bus", "github.com/nats-io/nats.go", true},
		{"warrant/pgstore", "github.com/jackc/pgx/v5", true},
		{"api/admin", "github.com/jackc/pgx/v5", false},
		{"mediation/correlate", "github.com/emiago/sipgo/sip", false},
		{"li", "strings", true},
	} {
		if got := breach(tt.from, tt.imp); (got == "") != tt.ok {
			t.Errorf("%s imports %s: %q", tt.from, tt.imp, got)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.go")
	text := "package x\n\nfunc long() {\n" + strings.Repeat("\t_ = 1\n", 80) + "}\n" + strings.Repeat("\n", 600)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := sizes(file)
	if err != nil || len(got) != 2 {
		t.Errorf("%q, %v; want a long file and a long function", got, err)
	}
}
