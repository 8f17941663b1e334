package witness_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/audit/witness"
	"github.com/ligate/ligate/internal/pgtest"
)

var server *pgtest.Server

func TestMain(m *testing.M) { pgtest.Main(m, &server) }

// operator is a log in a database, with what has it witnessed.
type operator struct {
	t      *testing.T
	log    *audit.Log
	pool   *pgxpool.Pool
	key    note.Verifier
	vkey   string
	alarms *alarms
	every  time.Duration
}

type alarms struct {
	mu   sync.Mutex
	open map[string]bool
	news chan struct{} // one token a change
}

func (a *alarms) OpenAlarm(_ context.Context, kind, _ string) error { return a.set(kind, true) }

func (a *alarms) CloseAlarm(_ context.Context, kind, _ string) error { return a.set(kind, false) }

func (a *alarms) set(kind string, open bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[kind] = open
	select {
	case a.news <- struct{}{}:
	default:
	}
	return nil
}

// await waits for an alarm to be open or closed.
func (a *alarms) await(t *testing.T, kind string, want bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		a.mu.Lock()
		is, known := a.open[kind]
		a.mu.Unlock()
		if known && is == want {
			return
		}
		select {
		case <-a.news:
		case <-deadline:
			t.Fatalf("%s: open is not %v", kind, want)
		}
	}
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	secret, vkey, err := audit.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.New(audit.Config{Origin: origin, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return &operator{t: t, log: l, pool: server.Pool(t), key: key, vkey: vkey, alarms: &alarms{open: map[string]bool{}, news: make(chan struct{}, 1)}, every: 20 * time.Millisecond}
}

func (o *operator) add(texts ...string) {
	o.t.Helper()
	for _, text := range texts {
		if _, err := o.log.Record(o.t.Context(), o.pool, audit.Entry{Actor: "person-1", Role: "drafter", Action: "warrant.draft", Object: text, Result: "done"}); err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o *operator) push(urls map[string]*audit.Cosigner) (stop func()) {
	o.t.Helper()
	var remotes []witness.Remote
	for url, key := range urls {
		v, err := audit.NewWitnessVerifier(key.Verifier())
		if err != nil {
			o.t.Fatal(err)
		}
		remotes = append(remotes, witness.Remote{URL: url, Verifier: v, HTTP: &http.Client{Timeout: 2 * time.Second}})
	}
	p, err := witness.NewPusher(witness.PusherConfig{
		Source: o.log.On(o.pool), Verifier: o.key, Witnesses: remotes, Alarms: o.alarms, Log: slog.New(slog.DiscardHandler), Every: o.every, Patience: 5 * o.every,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	return func() { cancel(); <-done }
}

// cosigned is the size of the checkpoint that the log serves, if the witness signed it.
func (o *operator) cosigned(by *audit.Cosigner) int64 {
	o.t.Helper()
	checkpoint, err := o.log.Witnessed(o.t.Context(), o.pool)
	if err != nil {
		o.t.Fatal(err)
	}
	v, err := audit.NewWitnessVerifier(by.Verifier())
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := audit.CosignedAt(checkpoint, v); err != nil {
		return 0
	}
	size, _, err := audit.OpenCheckpoint(checkpoint, o.key)
	if err != nil {
		o.t.Fatal(err)
	}
	return size
}

// A log is cosigned as it grows; while no witness answers there is an alarm, which ends
// with the next cosignature; an outage of one of two is none.
func TestPush(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.add("a", "b")
	b := newBox(t, o.key)
	stop := o.push(map[string]*audit.Cosigner{b.url: b.key})
	o.alarms.await(t, witness.AlarmUnwitnessed, false)
	if got := o.cosigned(b.key); got != 2 {
		t.Errorf("cosigned %d entries, want 2", got)
	}
	stop()
	url := b.url
	b.stop()
	o.add("c")
	stop = o.push(map[string]*audit.Cosigner{url: b.key})
	o.alarms.await(t, witness.AlarmUnwitnessed, true)
	stop()
	b.start()
	gone := newBox(t, o.key)
	gone.stop()
	gone.stop = func() {}
	stop = o.push(map[string]*audit.Cosigner{b.url: b.key, gone.url: gone.key})
	defer stop()
	o.alarms.await(t, witness.AlarmUnwitnessed, false)
	if got := o.cosigned(b.key); got != 3 {
		t.Errorf("cosigned %d entries, want 3", got)
	}
	var out strings.Builder
	if err := o.log.Export(t.Context(), o.pool, &out); err != nil {
		t.Fatal(err)
	}
	if r, err := audit.Verify(strings.NewReader(out.String()), o.vkey); err != nil || !r.OK() || r.Checkpoints != 2 {
		t.Errorf("export with cosignatures: %+v, %v", r, err)
	}
}

// The answer of a witness was lost, or another process pushed: the pusher goes on from
// what the witness knows.
func TestPushGoesOnFromWhatTheWitnessKnows(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.add("a", "b")
	b := newBox(t, o.key)
	first, err := o.log.Checkpoint(t.Context(), o.pool)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ := b.post("old 0\n\n" + string(first)); status != 200 {
		t.Fatal(status)
	}
	o.add("c")
	defer o.push(map[string]*audit.Cosigner{b.url: b.key})()
	o.alarms.await(t, witness.AlarmUnwitnessed, false)
	if got := o.cosigned(b.key); got != 3 {
		t.Errorf("cosigned %d entries, want 3", got)
	}
}

// A database that was set back to an older state is found by the witness, whether or not
// it has grown past what was signed; so is one whose history was computed anew.
func TestWitnessFindsRollback(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ keep, more int }{
		"shorter than signed":    {2, 0},
		"as long as signed":      {2, 2},
		"longer than signed":     {2, 5},
		"rewritten from nothing": {0, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOperator(t)
			o.add("a", "b", "c", "d")
			b := newBox(t, o.key)
			stop := o.push(map[string]*audit.Cosigner{b.url: b.key})
			o.alarms.await(t, witness.AlarmUnwitnessed, false)
			stop()
			o.rollBack(tt.keep)
			for i := range tt.more {
				o.add("after " + string(rune('0'+i)))
			}
			defer o.push(map[string]*audit.Cosigner{b.url: b.key})()
			o.alarms.await(t, witness.AlarmFork, true)
			var out strings.Builder
			if err := o.log.Export(t.Context(), o.pool, &out); err != nil {
				t.Fatal(err)
			}
			if r, err := audit.Verify(strings.NewReader(out.String()), o.vkey); tt.more > 0 && (err != nil || !r.OK()) {
				t.Errorf("the export alone shows nothing of it, so this test wants more than Verify: %+v, %v", r, err)
			}
		})
	}
}

// rollBack leaves what a backup had after n entries, no trace of what came later.
func (o *operator) rollBack(n int) {
	o.t.Helper()
	err := pgx.BeginFunc(o.t.Context(), o.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(o.t.Context(), `set local session_replication_role = replica`)
		if err != nil {
			return err
		}
		hashes := map[int]int{0: 0, 2: 3}[n]
		for _, sql := range []string{"delete from audit_entry where index >= $1", "delete from audit_checkpoint where size > $1", "delete from audit_cosignature where size > $1"} {
			if _, err := tx.Exec(o.t.Context(), sql, n); err != nil {
				return err
			}
		}
		_, err = tx.Exec(o.t.Context(), "delete from audit_hash where id >= $1", hashes)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}
