package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/pki"
)

const (
	killCalls    = 200 // up at each kill
	killShort    = 12  // kills, unless LIGATE_KILLS says how many
	killInterval = 250 * time.Millisecond
	killLIID     = "KILLS"
	maxOutage    = 5 * time.Second // of Postgres and the LEMF

	// killWindow is how long before the kill of a gateway its copies may still be on
	// their way to the bus. What is missing of it must show as a gap.
	killWindow = 500 * time.Millisecond
)

// Gateway with bus, mediation with spools, Postgres and the LEMF are killed again and
// again at random moments, each while at least 200 tapped calls are up. Afterwards
// what went through the gateway is at the LEMF and in the sealed store, each packet
// and message once, in order, and the same in both. What a gateway died with, within
// its last half second, shows as a gap.
//
// LIGATE_KILLS is how many kills, LIGATE_KILL_SEED repeats a run's choices.
func TestKillsUnderLoad(t *testing.T) {
	kills, seed := killShort, uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	for name, set := range map[string]func(uint64){
		"LIGATE_KILLS":     func(n uint64) { kills = int(n) }, //nolint:gosec // small
		"LIGATE_KILL_SEED": func(n uint64) { seed = n },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 63)
			if err != nil {
				t.Fatalf("%s: want a number", name)
			}
			set(n)
		}
	}
	t.Logf("seed %d: LIGATE_KILL_SEED=%d LIGATE_KILLS=%d repeats its choices", seed, seed, kills)
	w := newKillWorld(t)
	k := &killer{w: w, t: t, random: rand.New(rand.NewPCG(seed, 0)), victims: w.victims(t), idle: map[string]bool{}, count: map[string]int{}}
	k.prepare()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.load.run(ctx) }()
	k.load.resume()
	k.run(kills)
	k.drain()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	k.check()
}

// killer kills and starts again.
type killer struct {
	w       *killWorld
	t       *testing.T
	load    *load
	random  *rand.Rand
	victims map[string]*victim
	bag     []string // who is next

	mu    sync.Mutex // guards the fields below, briefly
	idle  map[string]bool
	count map[string]int
	err   error
}

// prepare starts everything and has every subscriber of the load tapped.
func (k *killer) prepare() {
	t, w := k.t, k.w
	for _, name := range []string{"lemf", "gateway", "mediation"} {
		if err := k.victims[name].start(); err != nil {
			t.Fatal(err)
		}
	}
	for name := range k.victims {
		k.idle[name] = true
	}
	cert, err := pki.Load(w.path("operator", "secrets", "api.crt"), w.path("operator", "secrets", "api.key"))
	if err != nil {
		t.Fatal(err)
	}
	w.api, w.server = "https://"+w.world.ports.api, pki.Fingerprint(cert.Certificate[0])
	if err := w.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	lemfCert, err := pki.Load(w.path("lemf-keys", "lemf.crt"), w.path("lemf-keys", "lemf.key"))
	if err != nil {
		t.Fatal(err)
	}
	w.confirmDelivery(t, w.agencyID, map[string]any{"hi2": w.hi2, "hi3": w.hi3, "certificate": pki.Fingerprint(lemfCert.Certificate[0]), "hi1": true})
	w.awaitUp(t, 2)
	w.order(t, killLIID, loadNumbers()...)
	k.load = newLoad(t, w.story, killCalls+10, killInterval, 15*time.Second)
}

// run kills so many times.
func (k *killer) run(kills int) {
	for n := range kills {
		k.awaitCalls(killCalls)
		time.Sleep(time.Duration(k.random.Int64N(int64(1500 * time.Millisecond))))
		name, outage := k.choose(), time.Duration(0)
		k.awaitCalls(killCalls)
		if (name == "lemf" || name == "postgres") && k.random.IntN(2) == 0 {
			outage = time.Duration(k.random.Int64N(int64(maxOutage)))
		}
		up, _ := k.load.count()
		k.t.Logf("kill %d: %s, away for %s, %d calls up", n+1, name, outage.Round(time.Millisecond), up)
		k.strike(name, outage)
	}
	k.settle()
}

// killMix is how often each is killed in so many kills, in random order. A gateway's
// death ends 200 calls, so that a run with many has many sessions to compare.
func killMix() []string {
	return []string{
		"gateway", "gateway", "mediation", "mediation", "mediation", "mediation",
		"postgres", "postgres", "postgres", "lemf", "lemf", "lemf",
	}
}

// choose says who is next and waits until it is there to be killed.
func (k *killer) choose() string {
	if len(k.bag) == 0 {
		k.bag = killMix()
		k.random.Shuffle(len(k.bag), func(i, j int) { k.bag[i], k.bag[j] = k.bag[j], k.bag[i] })
	}
	name := k.bag[0]
	k.bag = k.bag[1:]
	for ; ; time.Sleep(20 * time.Millisecond) {
		k.mu.Lock()
		err, idle := k.err, k.idle[name]
		k.mu.Unlock()
		if err != nil {
			k.t.Fatal(err)
		}
		if idle {
			return name
		}
	}
}

// strike kills one and has it come back, while others may be killed.
func (k *killer) strike(name string, outage time.Duration) {
	k.mu.Lock()
	k.idle[name] = false
	k.count[name]++
	k.mu.Unlock()
	at := time.Now()
	err := k.victims[name].kill()
	if name == "gateway" {
		k.load.gatewayKilled(at)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	go func() {
		time.Sleep(outage)
		err := k.victims[name].start()
		if err == nil && name == "gateway" {
			err = k.awaitTasks()
			k.load.resume()
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.idle[name] = true
		if k.err == nil {
			k.err = err
		}
	}()
}

// awaitTasks waits until a new gateway has been told whom to tap.
func (k *killer) awaitTasks() error {
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		n, err := k.w.figure(k.w.gw.liMetrics, "gateway", "ligate_tasking_tasks")
		if err == nil && n > 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the gateway that was started again taps nobody: %v", err)
		}
	}
}

func (k *killer) awaitCalls(n int) {
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		up, _ := k.load.count()
		k.mu.Lock()
		err := k.err
		k.mu.Unlock()
		switch {
		case err != nil:
			k.t.Fatal(err)
		case up >= n:
			return
		case time.Now().After(deadline):
			k.t.Fatalf("%d calls are up, want %d; %d were refused", up, n, k.load.refused)
		}
	}
}

// settle waits until all are back.
func (k *killer) settle() {
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		k.mu.Lock()
		err, all := k.err, true
		for _, idle := range k.idle {
			all = all && idle
		}
		k.mu.Unlock()
		if err != nil {
			k.t.Fatal(err)
		}
		if all {
			return
		}
		if time.Now().After(deadline) {
			k.t.Fatal("not all came back")
		}
	}
}

// drain ends the calls and waits until everything is where it should be.
func (k *killer) drain() {
	k.awaitCalls(killCalls)
	k.load.finish()
	began, said := time.Now(), time.Now()
	for quiet := 0; quiet < 5; time.Sleep(200 * time.Millisecond) {
		_, alive := k.load.count()
		state, empty, err := k.left()
		if err == nil && alive == 0 && empty {
			quiet++
			continue
		}
		quiet = 0
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			k.t.Logf("draining: %d calls, %s, %v", alive, state, err)
		}
		if time.Since(began) > 150*time.Second {
			k.t.Errorf("not drained: %d calls, %s, %v", alive, state, err)
			return
		}
	}
	k.t.Logf("drained in %s", time.Since(began).Round(time.Millisecond))
}

// left is what has not arrived yet.
func (k *killer) left() (state string, empty bool, err error) {
	open, err := k.w.number(k.t.Context(), "select count(*) from session where closed_at is null")
	if err != nil {
		return "", false, err
	}
	outbox, err := k.w.number(k.t.Context(), "select count(*) from handover_outbox")
	if err != nil {
		return "", false, err
	}
	spool, err := k.w.figure(k.w.world.ports.liMetrics, "operator", "ligate_deliver_backlog_messages")
	return fmt.Sprintf("%d sessions open, %d in the outbox, %.0f messages on spools", open, outbox, spool), open == 0 && outbox == 0 && spool == 0, err
}

// summary says who was killed how often.
func (k *killer) summary() string {
	var all []string
	total := 0
	for name, n := range k.count {
		all = append(all, fmt.Sprintf("%s %d", name, n))
		total += n
	}
	slices.Sort(all)
	return fmt.Sprintf("kills=%d (%s)", total, strings.Join(all, ", "))
}
