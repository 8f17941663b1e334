package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/sealing"
)

// A deployment's keys, changed by the command while it does not run.
func TestSecretsCommand(t *testing.T) {
	st := newStory(t)
	yaml, master := st.path("operator", "ligate.yaml"), st.path("operator", "secrets", "master.key")
	st.drafted(t, yaml)
	first, err := os.ReadFile(master)
	if err != nil || len(first) != sealing.MasterBytes {
		t.Fatalf("%d octets, %v", len(first), err)
	}
	if info, err := os.Stat(master); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	ligate := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := run(t.Context(), append([]string{"secrets"}, append(args, "--config", yaml)...), &out, &out); code != want {
			t.Fatalf("%v: exit %d, want %d\n%s", args, code, want, out.String())
		}
		return out.String()
	}
	if out := ligate(exitOK, "seal"); !strings.Contains(out, "rows sealed: 0,") {
		t.Errorf("seal: %s", out)
	}
	ligate(exitOK, "rotate")
	second, err := os.ReadFile(master)
	if err != nil || bytes.Equal(first, second) {
		t.Fatalf("the master key stayed, %v", err)
	}
	if _, err := os.Stat(master + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key is left over: %v", err)
	}
	if out := ligate(exitOK, "rotate", "--hash", "--keep-master"); !strings.Contains(out, "rows sealed: 2,") { // the warrant and its version
		t.Errorf("rotate: %s", out)
	}
	ligate(exitUsage, "rotate", "--keep-master")

	// Died after the commit, before the file took its place: the next start finds it.
	if err := os.WriteFile(master+".new", second, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(master, first, 0o600); err != nil {
		t.Fatal(err)
	}
	st.readable(t, yaml)
	ligate(exitOK, "rotate", "--data")
	st.readable(t, yaml)

	// Another key: said plainly, without the key, and nothing is changed.
	third, err := os.ReadFile(master)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(master, first, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := ligate(exitError, "rotate"); !strings.Contains(out, "put the right key there, from its backup") || strings.Contains(out, string(first)) {
		t.Errorf("wrong key: %s", out)
	}
	if _, err := os.Stat(master + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused rotation leaves a key: %v", err)
	}
	if err := os.Chmod(master, 0o604); err != nil {
		t.Fatal(err)
	}
	if out := ligate(exitError, "rotate"); !strings.Contains(out, "chmod 600") {
		t.Errorf("open file: %s", out)
	}
	if err := errors.Join(os.WriteFile(master, third, 0o600), os.Chmod(master, 0o600)); err != nil {
		t.Fatal(err)
	}
	st.readable(t, yaml)
	st.leaksNoKey(t, first, second, third)
}

// inDatabase opens the deployment's database for do.
func (st *story) inDatabase(t *testing.T, yaml string, do func(*database, []warrant.Person) error) {
	t.Helper()
	cfg, err := loadConfig(yaml, []role{roleAdmin})
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	people, err := db.warrants.People(t.Context())
	if err == nil {
		err = db.warrants.OpenKeys(t.Context())
	}
	if err == nil {
		err = do(db, people)
	}
	if err := errors.Join(err, db.stop()); err != nil {
		t.Fatal(err)
	}
}

// drafted makes one warrant.
func (st *story) drafted(t *testing.T, yaml string) {
	t.Helper()
	st.inDatabase(t, yaml, func(db *database, people []warrant.Person) error {
		root, second, ann := personOf(t, people, warrant.Sysadmin, 0), personOf(t, people, warrant.Sysadmin, 1), personOf(t, people, warrant.Drafter, 0)
		agency, err := db.warrants.AddAgency(context.WithoutCancel(t.Context()), root, warrant.Agency{
			Name: "Police", Country: "DE", Recipients: []string{"age1test"}, People: []warrant.AgencyUser{{Name: "I", Cert: strings.Repeat("a", 64)}},
		})
		if err != nil {
			return err
		}
		if err := db.warrants.ConfirmAgency(t.Context(), second, agency.ID); err != nil {
			return err
		}
		target, err := li.NumberPlan{}.ParseTarget(aliceNumber)
		if err != nil {
			return err
		}
		_, err = db.warrants.CreateDraft(t.Context(), ann, warrant.Order{
			LIID: "L-1", Authority: "Court", Reference: "1", LegalBasis: "100a", AgencyID: agency.ID, Targets: []li.Identity{target},
			Scope: warrant.IRIOnly, From: time.Now(), Until: time.Now().Add(time.Hour),
		}, "")
		return err
	})
}

func personOf(t *testing.T, people []warrant.Person, role warrant.Role, skip int) warrant.Actor {
	t.Helper()
	for _, p := range people {
		if p.Role == role && p.Confirmed {
			if skip--; skip < 0 {
				return warrant.Actor{Person: p, Source: "127.0.0.1"}
			}
		}
	}
	t.Fatalf("no %s", role)
	return warrant.Actor{}
}

// readable opens the warrant's target.
func (st *story) readable(t *testing.T, yaml string) {
	t.Helper()
	st.inDatabase(t, yaml, func(db *database, people []warrant.Person) error {
		var id warrant.ID
		if err := db.pool.QueryRow(t.Context(), "select id from warrant where liid = 'L-1'").Scan(&id); err != nil {
			return err
		}
		w, err := db.warrants.Warrant(t.Context(), personOf(t, people, warrant.Drafter, 0), id)
		if err == nil && "+"+w.Targets[0].Reveal() != aliceNumber {
			t.Error("the target is another one")
		}
		return err
	})
}

// leaksNoKey looks for the keys in all logs and in the database's files.
func (st *story) leaksNoKey(t *testing.T, keys ...[]byte) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(st.path("operator"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, string(filepath.Separator)+"secrets"+string(filepath.Separator)) {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, key := range keys {
			if bytes.Contains(b, key) {
				t.Errorf("%s holds a master key", filepath.Base(path))
			}
		}
		return err
	})
	if err != nil || files < 50 {
		t.Errorf("looked at %d files: %v", files, err)
	}
}
