package correlate_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/sipevent"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/correlate"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/warrant"
)

var errInjected = errors.New("injected")

// faulty is a store of which one step fails or is the last that mediation does.
type faulty struct {
	*evidence.Store

	mu    sync.Mutex // guards the rest
	step  string
	nth   int  // which occurrence of step
	times int  // how often it fails from then on
	kept  bool // the step happens although it seems to fail
	crash func()
	hit   bool
}

func (f *faulty) run(step string, do func() error) error {
	f.mu.Lock()
	strikes := false
	if step == f.step {
		f.nth--
		strikes = f.nth <= 0 && f.times > 0
	}
	if strikes {
		f.times--
		f.hit = true
	}
	kept, crash := f.kept, f.crash
	f.mu.Unlock()
	if !strikes {
		return do()
	}
	if kept {
		if err := do(); err != nil {
			return err
		}
	}
	if crash != nil {
		crash()
	}
	return errInjected
}

func (f *faulty) Session(ctx context.Context, task warrant.TaskInfo, correlation uint64, at time.Time) (p *evidence.Progress, err error) {
	failed := f.run("session", func() error { p, err = f.Store.Session(ctx, task, correlation, at); return err })
	return p, failed
}

func (f *faulty) Put(ctx context.Context, p *evidence.Progress, ciphertext []byte) (b evidence.Blob, err error) {
	failed := f.run("put", func() error { b, err = f.Store.Put(ctx, p, ciphertext); return err })
	return b, failed
}

// Commit works on a copy: who does not see the answer does not have the new state.
func (f *faulty) Commit(ctx context.Context, p *evidence.Progress, next evidence.Progress, sealed evidence.Sealed) error {
	moved := *p
	err := f.run("commit", func() error { return f.Store.Commit(ctx, &moved, next, sealed) })
	if err == nil {
		*p = moved
	}
	return err
}

func (f *faulty) Close(ctx context.Context, p *evidence.Progress, next evidence.Progress, entails []evidence.Entailed) error {
	moved := *p
	err := f.run("close", func() error { return f.Store.Close(ctx, &moved, next, entails) })
	if err == nil {
		*p = moved
	}
	return err
}

// Each step fails, kept or not, once or for a while, or is the last before
// mediation dies and another one begins: nothing is lost, nothing is doubled.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"session", "put", "commit", "close"} {
		for _, nth := range []int{1, 4} {
			for _, kept := range []bool{false, true} {
				for _, times := range []int{1, 3} {
					for _, dies := range []bool{false, true} {
						if nth > 1 && (step == "session" || step == "close") || dies && times > 1 {
							continue
						}
						t.Run(fmt.Sprintf("%s %d kept=%v times=%d dies=%v", step, nth, kept, times, dies), func(t *testing.T) {
							t.Parallel()
							fault(t, &faulty{step: step, nth: nth, kept: kept, times: times}, dies)
						})
					}
				}
			}
		}
	}
}

func fault(t *testing.T, f *faulty, dies bool) {
	t.Helper()
	w := newWorld(t)
	f.Store = w.store
	cfg := w.quick()
	cfg.Store = f
	cfg.SegmentBytes = 10_000 // several segments, also of what waited
	if dies {
		ctx, cancel := context.WithCancel(t.Context())
		f.crash = cancel
		c, err := correlate.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		start(t, func(context.Context) error {
			err := c.Run(ctx)
			// Other limits, so that what comes again does not make the same segments.
			cfg.Store, cfg.SegmentBytes = w.store, 13_000
			w.mediate(cfg)
			return err
		})
	} else {
		w.mediate(cfg)
	}
	l := newLine(w.task("LIID-1", true), 1)
	w.call(l, 30)
	w.closed("LIID-1", 1)
	w.drained()
	c := w.open("LIID-1", 1)
	if !slices.Equal(c.taps(), consecutive(300)) || len(c.gaps) != 0 || c.doc.Missing != 0 {
		t.Errorf("packets %v, gaps %d", c.taps(), len(c.gaps))
	}
	if got, want := c.types(), []string{"begin", "continue", "continue", "end"}; !slices.Equal(got, want) {
		t.Errorf("IRI types %v, want %v", got, want)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.hit {
		t.Error("the step did not come")
	}
}

// crashDir makes this test binary a mediation that dies: see TestSurvivesKill.
const crashDir = "LIGATE_TEST_CORRELATE_CRASH_DIR"

// crashSetup is what the child needs.
type crashSetup struct {
	Database string
	Task     warrant.TaskInfo
	From     uint32 // number of the first packet to publish
}

// A process that holds bus and mediation is killed again and again in full flight:
// every packet whose publish was acknowledged is in exactly one segment, in order.
func TestSurvivesKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	setup := crashSetup{Database: w.pool.Config().ConnString(), Task: w.task("LIID-1", true)}
	acked := uint32(0)
	for round := range 5 {
		setup.From = acked
		acked = w.killed(dir, setup, acked+uint32(150+37*round))
	}
	// The last life is ours: it stores what is left.
	b, err := bus.New(bus.Config{Dir: filepath.Join(dir, "bus"), Key: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	start(t, b.Run)
	<-b.Ready()
	w.bus = b
	_, w.store = newStore(t, w.pool, filepath.Join(dir, "blobs"))
	w.mediate(w.quick())
	w.drained()
	c := w.open("LIID-1", 1)
	// A publish that died unanswered may be stored too; the next life then publishes
	// that number again, as another packet.
	seen := uint32(0)
	for i, n := range c.taps() {
		if n > seen || n+1 < seen {
			t.Fatalf("packet %d is number %d after %d", i, n, seen)
		}
		seen = n + 1
	}
	if seen < acked || len(c.taps()) > int(acked)+6 {
		t.Errorf("%d packets up to number %d, %d were acknowledged", len(c.taps()), seen, acked)
	}
}

// killed runs a child until it acknowledged n packets, kills it and returns how
// many it acknowledged.
func (w *world) killed(dir string, setup crashSetup, n uint32) (acked uint32) {
	w.t.Helper()
	text, err := json.Marshal(setup)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stdin = bytes.NewReader(text)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for killed := false; in.Scan(); { // what it said before it died counts too
		if _, err := fmt.Sscan(in.Text(), &acked); err != nil {
			w.t.Fatal(err)
		}
		if acked >= n && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if acked < n {
		w.t.Fatalf("the child ended by itself: %s", stderr.String())
	}
	return acked
}

// mediateForEver is the child: it publishes packets, says which are acknowledged,
// and mediates them.
func mediateForEver() {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	ctx, dir := context.Background(), os.Getenv(crashDir)
	var setup crashSetup
	must(json.NewDecoder(os.Stdin).Decode(&setup))
	pool, err := pgxpool.New(ctx, setup.Database)
	must(err)
	secret, _, err := audit.NewKey("test")
	must(err)
	signer, err := note.NewSigner(secret)
	must(err)
	log, err := audit.New(audit.Config{Origin: "test", Signer: signer})
	must(err)
	folder, err := evidence.OpenFolder(filepath.Join(dir, "blobs"))
	must(err)
	store, err := evidence.New(evidence.Config{Pool: pool, Audit: log, Bucket: folder.Bucket})
	must(err)
	b, err := bus.New(bus.Config{Dir: filepath.Join(dir, "bus"), Key: bytes.Repeat([]byte{7}, 32), Log: slog.New(slog.DiscardHandler)})
	must(err)
	c, err := correlate.New(correlate.Config{
		Bus: b, Tasks: &tasks{known: map[li.XID]warrant.TaskInfo{setup.Task.XID: setup.Task}}, Store: store, Alarms: &alarms{open: map[string]bool{}},
		Log: slog.New(slog.DiscardHandler), IRIEvery: time.Millisecond, CCEvery: 3 * time.Millisecond,
	})
	must(err)
	go func() { panic(b.Run(ctx)) }()
	<-b.Ready()
	go func() { panic(c.Run(ctx)) }()
	l := newLine(setup.Task, 1)
	l.x3 = setup.From
	partition := bus.Partition(l.xid, l.correlation)
	for {
		must(b.Publish(ctx, x2x3.X3, partition, l.media(1)))
		fmt.Println(l.x3)
		if l.x3%50 == 0 {
			must(b.Publish(ctx, x2x3.X2, partition, l.sip(sipevent.Continue, "INFO", 0)))
		}
	}
}
