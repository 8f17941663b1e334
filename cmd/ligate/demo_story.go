package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/zaf/g711"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/lemf"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// story is the demo as it unfolds. Each step is done through the same doors that
// people use: the command line, the API, SIP and RTP.
type story struct {
	dir   string
	out   io.Writer
	began time.Time
	world world

	api, server string // URL and fingerprint
	agencyID    string
	warrantID   string
	until       time.Time
	lemf        *lemf.LEMF // the agency's
}

const demoLIID = "DEMO-2026-0001"

func (st *story) say(format string, args ...any) { fmt.Fprintf(st.out, "\n"+format+"\n", args...) }

func (st *story) tick(format string, args ...any) { fmt.Fprintf(st.out, "  ✓ "+format+"\n", args...) }

// cli runs a ligate command line as a person would and returns what it printed.
func (st *story) cli(ctx context.Context, args ...string) (string, error) {
	var out, errOut bytes.Buffer
	if code := run(ctx, args, &out, &errOut); code != exitOK {
		return out.String(), fmt.Errorf("ligate %s: exit %d: %s", strings.Join(args[:2], " "), code, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// as adds who acts to a command line.
func (st *story) as(person string, args ...string) []string {
	return append(args, "--api", st.api, "--server", st.server, "--cert", st.path("people", person+".crt"), "--key", st.path("people", person+".key"))
}

func (st *story) path(parts ...string) string {
	return filepath.Join(append([]string{st.dir}, parts...)...)
}

// play tells the story. stop ends what it started; it is never nil. What is
// started lives until life ends.
func (st *story) play(ctx, life context.Context) (stop func() error, err error) {
	stop = func() error { return nil }
	fmt.Fprintln(st.out, "ligate demo: everything runs on this machine's loopback addresses.")
	if err := st.prepare(ctx); err != nil {
		return stop, err
	}
	if stop, err = st.start(ctx, life); err != nil {
		return stop, err
	}
	monitor := func(ctx context.Context) error {
		if err := st.monitor(ctx, life); err != nil {
			return err
		}
		st.tick("two people confirmed where records are pushed: the agency's LEMF, known by its certificate")
		return nil
	}
	for _, step := range []func(context.Context) error{st.people, monitor, st.warrant, st.calls, st.fetch, st.compare, st.pushed, st.revoke, st.audit} {
		if err := step(ctx); err != nil {
			return stop, err
		}
	}
	st.say("Done in %.1f s. Everything that was promised was checked.", time.Since(st.began).Seconds())
	return stop, nil
}

// staff are the operator's people in the story.
func staff() map[string]string {
	return map[string]string{"ann": "drafter", "bob": "approver", "aud": "auditor", "root1": "sysadmin", "root2": "sysadmin"}
}

func (st *story) prepare(ctx context.Context) error {
	st.say("1. The operator sets up: each person has a certificate of their own; the first five are enrolled in a ceremony.")
	for _, name := range []string{"ann", "bob", "aud", "root1", "root2", "li"} {
		if _, err := st.cli(ctx, "person", "keygen", "--name", name, "--file", name, "--out", st.path("people")); err != nil {
			return err
		}
	}
	var err error
	if st.world.ports, err = freePorts(); err != nil {
		return err
	}
	liStaff, err := pki.Load(st.path("people", "li.crt"), st.path("people", "li.key"))
	if err != nil {
		return err
	}
	yaml := st.world.ports.yaml(st.dir, pki.Fingerprint(liStaff.Certificate[0]))
	if err := os.WriteFile(st.path("operator", "ligate.yaml"), []byte(yaml), 0o600); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	args := []string{"setup", "--config", st.path("operator", "ligate.yaml")}
	for name, role := range staff() {
		args = append(args, "--person", role+":"+st.path("people", name+".crt"))
	}
	if _, err := st.cli(ctx, args...); err != nil {
		return err
	}
	st.tick("two system administrators, a drafter, an approver, an auditor; no other account exists")
	return nil
}

// start runs the operator's ligate and the phones.
func (st *story) start(ctx, life context.Context) (stop func() error, err error) {
	cfg, err := loadConfig(st.path("operator", "ligate.yaml"), []role{roleGateway, roleMediation, roleAdmin})
	if err != nil {
		return func() error { return nil }, err
	}
	log, closeLog, err := cfg.logger(st.out)
	if err != nil {
		return func() error { return nil }, err
	}
	run, cancel := context.WithCancel(life)
	st.world.node = newNode(cfg, []role{roleGateway, roleMediation, roleAdmin}, log)
	done := make(chan error, 1)
	go func() { done <- st.world.node.Run(run) }()
	stop = func() error {
		cancel()
		err := <-done
		closeLog()
		return err
	}
	select {
	case <-st.world.node.up:
	case err := <-done:
		done <- nil
		return stop, err
	case <-ctx.Done():
		return stop, context.Cause(ctx)
	}
	if err := st.world.startPhones(run, log); err != nil {
		return stop, err
	}
	api, err := cfg.secrets().api(cfg.Admin.Names)
	if err != nil {
		return stop, err
	}
	st.api, st.server = "https://"+st.world.ports.api, pki.Fingerprint(api.Certificate[0])
	st.tick("gateway, mediation, administration and a private Postgres run; two phones, an office and a PSTN gateway stand by")
	return stop, nil
}

func (st *story) client(person string) (*apiClient, error) {
	return apiFlags{API: st.api, Server: st.server, Cert: st.path("people", person+".crt"), Key: st.path("people", person+".key")}.client()
}

// people registers the agency, by two.
func (st *story) people(ctx context.Context) error {
	st.say("2. The agency makes its keys; the operator registers it, by two people.")
	var err error
	if st.agencyID, err = st.enrol(ctx, "State police", st.path("agency", "keys")); err != nil {
		return err
	}
	st.tick("what is intercepted will be sealed to the agency's key; the operator has no key that opens it")
	return nil
}

// enrol registers an agency whose keys are made in that folder.
func (st *story) enrol(ctx context.Context, name, keys string) (id string, err error) {
	out, err := st.cli(ctx, "agency", "keygen", "--person", "Investigator", "--keys", keys)
	if err != nil {
		return "", err
	}
	recipient, certificate := field(out, "recipient"), field(out, "certificate")
	root1, err := st.client("root1")
	if err != nil {
		return "", err
	}
	var made struct {
		ID string `json:"id"`
	}
	_, err = root1.do(ctx, http.MethodPost, "/admin/v1/agencies", map[string]any{
		"name": name, "country": "DE", "recipients": []string{recipient},
		"people": []map[string]string{{"name": "Investigator", "certificate": certificate}},
	}, &made)
	if err != nil {
		return "", err
	}
	root2, err := st.client("root2")
	if err != nil {
		return "", err
	}
	if _, err := root2.do(ctx, http.MethodPost, "/admin/v1/agencies/"+made.ID+"/confirm", nil, nil); err != nil {
		return "", err
	}
	return made.ID, nil
}

func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// warrant drafts, has oneself refused, and has it approved by another.
func (st *story) warrant(ctx context.Context) error {
	st.say("3. A court orders the interception of one subscriber. Ann drafts, Bob approves.")
	st.until = time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	until := st.until.Format(time.RFC3339)
	out, err := st.cli(ctx, st.as("ann", "warrant", "draft", "--liid", demoLIID, "--authority", "District court", "--reference", "12 Gs 34/26",
		"--legal-basis", "demo", "--agency", st.agencyID, "--target", aliceNumber, "--scope", "iri+cc", "--until", until)...)
	if err != nil {
		return err
	}
	st.warrantID = field(out, "id")
	if _, err := st.cli(ctx, st.as("ann", "warrant", "submit", st.warrantID)...); err != nil {
		return err
	}
	if _, err := st.cli(ctx, st.as("ann", "warrant", "approve", st.warrantID, "--target", aliceNumber, "--until", until)...); err == nil {
		return errors.New("the drafter could approve her own draft")
	}
	st.tick("Ann cannot approve her own draft")
	if _, err := st.cli(ctx, st.as("bob", "warrant", "approve", st.warrantID, "--target", "+4930555010", "--until", until)...); err == nil {
		return errors.New("a wrong digit was approved")
	}
	st.tick("Bob types the number from the order without seeing the draft; one wrong digit is refused")
	approved := time.Now()
	if _, err := st.cli(ctx, st.as("bob", "warrant", "approve", st.warrantID, "--target", aliceNumber, "--until", until)...); err != nil {
		return err
	}
	if err := st.awaitTap(ctx, true); err != nil {
		return err
	}
	st.tick("approved; the gateway confirmed the tap after %d ms", time.Since(approved).Milliseconds())
	return nil
}

// awaitTap waits until the gateway confirmed that the tap is on or off.
func (st *story) awaitTap(ctx context.Context, on bool) error {
	ann, err := st.client("ann")
	if err != nil {
		return err
	}
	for {
		var w struct {
			Gateways []struct {
				Live bool `json:"live"`
			} `json:"gateways"`
		}
		if _, err := ann.do(ctx, http.MethodGet, warrantsPath+"/"+st.warrantID, nil, &w); err != nil {
			return err
		}
		if len(w.Gateways) == 1 && w.Gateways[0].Live == on {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// calls places the target's call, somebody else's and the target's on-net call at
// the same time.
func (st *story) calls(ctx context.Context) error {
	st.say("4. Three calls at once: the target to the PSTN, another subscriber to the PSTN, the target to an office inside the network.")
	type result struct {
		name  string
		heard demo.Heard
		err   error
		want  int
	}
	far := len(demo.PSTNSpeech()) / demo.FrameSamples
	results := make(chan result, 3)
	call := func(name string, p *demo.Phone, to string) {
		h, err := p.Call(ctx, to, demo.SubscriberSpeech(), far)
		results <- result{name, h, err, far}
	}
	go call("target to PSTN", st.world.alice, farNumber)
	go call("other subscriber to PSTN", st.world.bob, farNumber)
	go func() { // the target's second line rings a moment later
		time.Sleep(100 * time.Millisecond)
		call("target to the office, on-net", st.world.alice, officeNumber)
	}()
	for range 3 {
		r := <-results
		if r.err != nil || r.heard.Status != http.StatusOK || r.heard.CallerHeard != r.want {
			return fmt.Errorf("call %s: status %d, heard %d of %d packets: %w", r.name, r.heard.Status, r.heard.CallerHeard, r.want, errors.Join(r.err))
		}
		anchored := r.heard.AnchoredAt.Addr() == addrPort(st.world.ports.sip).Addr()
		if onNet := strings.Contains(r.name, "on-net"); anchored == onNet {
			return fmt.Errorf("call %s: media went through the gateway: %t", r.name, anchored)
		}
		st.tick("%s: answered, %d packets heard, none lost", r.name, r.heard.CallerHeard)
	}
	return nil
}

// fetch waits for the session's end and pulls, acknowledges and opens it.
func (st *story) fetch(ctx context.Context) error {
	st.say("5. The agency fetches what is its own, verifies the chain, decrypts on its own machine and acknowledges.")
	if err := st.awaitSession(ctx); err != nil {
		return err
	}
	keys, dir := st.path("agency", "keys"), st.path("agency")
	if _, err := st.cli(ctx, "agency", "pull", "--api", st.api, "--server", st.server, "--keys", keys, "--dir", dir, "--ack"); err != nil {
		return err
	}
	if _, err := st.cli(ctx, "agency", "open", "--keys", keys, "--dir", dir); err != nil {
		return err
	}
	st.tick("one session, of the target's PSTN call; the two other calls left nothing behind")
	made := filepath.Join(dir, "bundles", "ligate-"+demoLIID+"-1.zip")
	if _, err := st.cli(ctx, "verify", made); err != nil {
		return err
	}
	st.tick("the evidence bundle holds: hashes, the operator's signature, the proof that it is on the log")
	fmt.Fprintf(st.out, "    bundle     %s\n", made)
	return nil
}

// sessions is what the agency sees.
func (st *story) sessions(ctx context.Context) ([]segment.SessionDoc, error) {
	f := apiFlags{API: st.api, Server: st.server, Cert: st.path("agency", "keys", "client.crt"), Key: st.path("agency", "keys", "client.key")}
	c, err := f.client()
	if err != nil {
		return nil, err
	}
	var page struct {
		Items []segment.SessionDoc `json:"items"`
	}
	_, err = c.do(ctx, http.MethodGet, "/handover/v1/intercepts/"+demoLIID+"/sessions", nil, &page)
	return page.Items, err
}

func (st *story) awaitSession(ctx context.Context) error {
	for {
		all, err := st.sessions(ctx)
		if err != nil {
			return err
		}
		if len(all) > 1 {
			return fmt.Errorf("%d sessions, want only the target's PSTN call", len(all))
		}
		if len(all) == 1 && all[0].EndedAt != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// compare holds the WAV against what each side said, sample for sample.
func (st *story) compare(context.Context) error {
	opened := filepath.Join(st.path("agency", "opened"), "liid-"+demoLIID, "1")
	if err := heard(opened, demo.SubscriberSpeech(), demo.PSTNSpeech()); err != nil {
		return err
	}
	st.tick("left channel = what the target said, right channel = what the far party said, sample for sample")
	fmt.Fprintf(st.out, "    audio      %s\n    capture    %s\n", filepath.Join(opened, open.FileAudio), filepath.Join(opened, open.FileCapture))
	return nil
}

// heard holds the WAV of an opened session against what the target and the far party
// said, sample for sample.
func heard(opened string, target, far demo.Speech) error {
	wav, err := os.ReadFile(filepath.Join(opened, open.FileAudio))
	if err != nil {
		return fmt.Errorf("read WAV: %w", err)
	}
	left, right, err := channels(wav)
	switch {
	case err != nil:
		return err
	case !contains(left, target):
		return errors.New("the left channel is not what the target said")
	case !contains(right, far):
		return errors.New("the right channel is not what the far party said")
	}
	return nil
}

var errWAV = errors.New("call.wav is not 16 bit stereo PCM")

// channels reads the samples of a 16 bit stereo WAV.
func channels(wav []byte) (left, right []int16, err error) {
	if len(wav) < 12 || string(wav[:4]) != "RIFF" || string(wav[8:12]) != "WAVE" {
		return nil, nil, errWAV
	}
	for b := wav[12:]; len(b) >= 8; {
		size := int(binary.LittleEndian.Uint32(b[4:]))
		if size > len(b)-8 {
			return nil, nil, errWAV
		}
		if string(b[:4]) == "data" {
			for d := b[8 : 8+size]; len(d) >= 4; d = d[4:] {
				left = append(left, int16(binary.LittleEndian.Uint16(d)))
				right = append(right, int16(binary.LittleEndian.Uint16(d[2:])))
			}
			return left, right, nil
		}
		b = b[min(8+size+size%2, len(b)):]
	}
	return nil, nil, errWAV
}

// contains reports whether the samples hold the speech whole, with silence around
// it.
func contains(samples []int16, s demo.Speech) bool {
	want := make([]int16, len(s))
	for i, octet := range s {
		want[i] = g711.DecodeAlawFrame(octet)
	}
	for at := 0; at+len(want) <= len(samples); at++ {
		if samples[at] != want[0] {
			continue
		}
		i := 0
		for i < len(want) && samples[at+i] == want[i] {
			i++
		}
		if i == len(want) {
			return silent(samples[:at]) && silent(samples[at+len(want):])
		}
	}
	return false
}

func silent(samples []int16) bool {
	for _, v := range samples {
		if v != 0 {
			return false
		}
	}
	return true
}

// revoke stops the tap during the target's next call.
func (st *story) revoke(ctx context.Context) error {
	st.say("7. The court lifts the order. Ann revokes; the target calls again.")
	revoked := time.Now()
	if _, err := st.cli(ctx, st.as("ann", "warrant", "revoke", st.warrantID, "--reason", "order lifted")...); err != nil {
		return err
	}
	if err := st.awaitTap(ctx, false); err != nil {
		return err
	}
	st.tick("the gateway confirmed the stop after %d ms", time.Since(revoked).Milliseconds())
	h, err := st.world.alice.Call(ctx, farNumber, demo.SubscriberSpeech().Seconds(2), 0)
	if err != nil || h.Status != http.StatusOK {
		return fmt.Errorf("call after revocation: status %d: %w", h.Status, errors.Join(err))
	}
	all, err := st.sessions(ctx)
	if err != nil {
		return err
	}
	if len(all) != 1 || all[0].Acked == nil || all[0].Acked.ChainHead != all[0].ChainHead {
		return errors.New("the call after revocation left something behind")
	}
	st.tick("the call went through as ever and left nothing behind")
	return nil
}

// audit verifies the log offline and looks for what must be on it.
func (st *story) audit(ctx context.Context) error {
	st.say("8. The auditor exports the log and checks it offline, with the key that the operator handed over at the start.")
	export, err := st.cli(ctx, st.as("aud", "audit", "export")...)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(st.path("operator", "secrets", "audit.pub"))
	if err != nil {
		return fmt.Errorf("read verifier key: %w", err)
	}
	report, err := audit.Verify(strings.NewReader(export), strings.TrimSpace(string(key)))
	if err != nil {
		return err
	}
	if !report.OK() {
		return fmt.Errorf("the audit log has faults: %s", strings.Join(report.Faults, "; "))
	}
	for _, action := range []string{"warrant.draft", "warrant.approve", "tap.started", "session.open", "segment.fetch", "session.ack", "warrant.revoke", "tap.stopped"} {
		if !strings.Contains(export, `"action":"`+action+`"`) {
			return fmt.Errorf("the audit log lacks %s", action)
		}
	}
	st.tick("%d entries, whole and signed; from draft to revocation every act and every access is there", report.Entries)
	if strings.Contains(export, strings.TrimPrefix(aliceNumber, "+")) {
		return errors.New("the audit log names the target")
	}
	st.tick("the target's number is nowhere on it")
	return nil
}
