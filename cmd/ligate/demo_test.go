package main

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/devpg"
)

// demoDir is a folder that the database's own user can pass through.
func demoDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ligate-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// The whole demo, and then a search through everything that the operator is left
// with: neither the target's number nor what was said stands there in clear, in no file of
// Postgres' either.
func TestDemoLeavesNothingInClear(t *testing.T) {
	dir := demoDir(t)
	var out bytes.Buffer
	if code := run(t.Context(), []string{"demo", "--once", "--keep", dir}, &out, &out); code != exitOK {
		t.Fatalf("exit %d\n%s", code, out.String())
	}
	number := []byte(strings.TrimPrefix(aliceNumber, "+"))
	if !bytes.Contains(out.Bytes(), []byte("sample for sample")) || bytes.Contains(out.Bytes(), number) {
		t.Errorf("output:\n%s", out.String())
	}
	spoken := [][]byte{pattern(demo.SubscriberSpeech()), pattern(demo.PSTNSpeech())}
	files := 0
	err := filepath.WalkDir(filepath.Join(dir, "operator"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		rel, _ := filepath.Rel(dir, path)
		if rel != filepath.Join("operator", "ligate.yaml") && bytes.Contains(b, number) { // the config names the subscribers' ranges
			t.Errorf("%s names the target", rel)
		}
		for _, s := range spoken {
			if bytes.Contains(b, s) {
				t.Errorf("%s holds what was said", rel)
			}
		}
		return nil
	})
	if err != nil || files < 50 {
		t.Fatalf("looked at %d files: %v", files, err)
	}
	sealedToTheAgencyOnly(t, dir)
	searchDatabase(t, filepath.Join(dir, "operator", "postgres"), string(number))
	opened, err := filepath.Glob(filepath.Join(dir, "agency", "opened", "*", "1", "*"))
	if err != nil || len(opened) < 4 {
		t.Fatalf("the agency opened %v, %v", opened, err)
	}
	capture, err := os.ReadFile(filepath.Join(filepath.Dir(opened[0]), "call.pcapng"))
	if err != nil || !bytes.Contains(capture, spoken[0]) || !bytes.Contains(capture, spoken[1]) {
		t.Errorf("the patterns are not in the agency's capture either: the search proves nothing (%v)", err)
	}
}

// pattern is a piece of speech that cannot stand anywhere by chance.
func pattern(s demo.Speech) []byte {
	for at := len(s) / 2 / demo.FrameSamples * demo.FrameSamples; at+64 < len(s); at += demo.FrameSamples { // within one packet
		if distinct(s[at:at+64]) > 20 {
			return s[at : at+64]
		}
	}
	return s[:64]
}

func distinct(b []byte) int {
	seen := map[byte]bool{}
	for _, c := range b {
		seen[c] = true
	}
	return len(seen)
}

// searchDatabase reads every row of every table as text.
func searchDatabase(t *testing.T, dir, number string) {
	t.Helper()
	pg, err := devpg.New(devpg.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pg.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-pg.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), pg.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), "select tablename from pg_tables where schemaname = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 12 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	found := map[string]bool{}
	for _, table := range tables {
		var hits int
		// bytea is shown as hexadecimal: look for the number's octets there too.
		sql := "select count(*) from " + pgx.Identifier{table}.Sanitize() + " as t where t::text like '%' || $1 || '%' or t::text like '%' || encode($1::bytea, 'hex') || '%'"
		if err := conn.QueryRow(t.Context(), sql, number).Scan(&hits); err != nil {
			t.Fatal(err)
		}
		if hits > 0 {
			found[table] = true
		}
	}
	for table := range found {
		t.Errorf("table %s names the target", table)
	}
	var sealed int
	if err := conn.QueryRow(t.Context(), "select count(*) from warrant where cardinality(targets_hash) > 0").Scan(&sealed); err != nil || sealed == 0 {
		t.Errorf("%d warrants have sealed targets, %v: the search proves nothing", sealed, err)
	}
}
