package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// tally is what the comparison found.
type tally struct {
	sent       int // packets and messages that came through the gateway
	delivered  int // of any, at the LEMF
	stored     int // of any, in the sealed store
	lost       int // of those sent, not stored and not excused
	excused    int // of those sent, not stored: a gateway was killed with them
	duplicated int
	reordered  int
	differing  int // LEMF and store do not hold the same
	foreign    int // stored, but never sent
	gaps       int // gap records
	uncovered  int // calls with something excused, but no gap that says so
}

func (r tally) String() string {
	return fmt.Sprintf("sent=%d delivered=%d stored=%d lost=%d duplicated=%d reordered=%d gaps=%d excused=%d uncovered=%d differing=%d foreign=%d",
		r.sent, r.delivered, r.stored, r.lost, r.duplicated, r.reordered, r.gaps, r.excused, r.uncovered, r.differing, r.foreign)
}

const maxShown = 30 // violations in words; all are counted

// comparer compares.
type comparer struct {
	*killer

	tally
	shown int
	calls map[*loadCall]int // sessions of each
}

func (c *comparer) wrong(format string, args ...any) {
	c.t.Helper()
	c.t.Fail()
	if c.shown++; c.shown <= maxShown {
		c.t.Logf(format, args...)
	}
}

// check compares what each side sent with what the LEMF and the store hold.
func (k *killer) check() {
	began := time.Now()
	c := &comparer{killer: k, calls: map[*loadCall]int{}}
	sessions, ids := c.pull()
	c.t.Logf("pulled in %s", time.Since(began).Round(time.Millisecond))
	for _, s := range sessions {
		c.session(s, ids)
	}
	for _, call := range k.load.calls {
		if n := c.calls[call]; n > 1 {
			c.wrong("call %d has %d sessions", call.n, n)
		} else if n == 0 {
			c.absent(call)
		}
	}
	for _, f := range k.w.faults {
		c.wrong("the LEMF's fault: %s", f)
	}
	for _, d := range k.w.dead {
		c.wrong("died by itself: %s", d)
	}
	c.t.Logf("compared in %s: %d calls, at most %d at once, %d refused; %d sessions", time.Since(began).Round(time.Millisecond), len(k.load.calls), k.load.most, k.load.refused, len(sessions))
	c.t.Logf("%s %s", k.summary(), c.tally)
}

// pull fetches all sessions as the agency.
func (c *comparer) pull() ([]segment.SessionDoc, []age.Identity) {
	t, w := c.t, c.w
	keys, dir := w.path("agency", "keys"), w.path("agency")
	ids, err := agency.Identities(keys)
	if err != nil {
		t.Fatal(err)
	}
	client, err := agency.New(agency.Config{URL: w.api, Server: w.server, Keys: keys, Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := client.Pull(t.Context(), killLIID)
	if err != nil {
		t.Fatal(err)
	}
	return sessions, ids
}

// session compares one session.
func (c *comparer) session(doc segment.SessionDoc, ids []age.Identity) {
	dir := agency.SessionDir(c.w.path("agency"), "sealed", doc.LIID, doc.CIN)
	if _, err := open.Verify(c.t.Context(), dir, ids); err != nil {
		c.wrong("session %d: %v", doc.CIN, err)
		return
	}
	var iri []segment.IRIRecord
	var cc []segment.CCRecord
	gaps := 0
	for n := uint32(1); n <= doc.Segments; n++ {
		b, err := os.ReadFile(dir + "/" + open.SegmentFile(n))
		if err != nil {
			c.t.Fatal(err)
		}
		plain, err := segment.Open(ids, b)
		if err != nil {
			c.t.Fatal(err)
		}
		_, records, err := segment.Decode(plain)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, r := range records {
			switch {
			case r.IRI != nil:
				iri = append(iri, *r.IRI)
			case r.CC != nil:
				cc = append(cc, *r.CC)
			case r.Gap != nil:
				gaps++
			}
		}
	}
	c.gaps += gaps
	c.stored += len(iri) + len(cc)
	c.lemf(doc.CIN, etsi.KindIRI, len(iri), func(i int, p *etsi.PDU) bool { return len(p.IRIs) == 1 && bytes.Equal(p.IRIs[0].SIP, iri[i].SIP) })
	c.lemf(doc.CIN, etsi.KindCC, len(cc), func(i int, p *etsi.PDU) bool { return len(p.CCs) == 1 && bytes.Equal(p.CCs[0].Packet, cc[i].Packet) })
	call := c.owner(doc.CIN, iri)
	if call == nil {
		return
	}
	c.calls[call]++
	excused := c.messages(call, iri) + c.packets(call, doc.CIN, cc)
	c.excused += excused
	if excused > 0 && gaps == 0 {
		c.uncovered++
		c.wrong("call %d, session %d: %d are missing around the kill of a gateway and no gap says so", call.n, doc.CIN, excused)
	}
}

// lemf holds a counter's file at the LEMF against what is stored.
func (c *comparer) lemf(cin li.CIN, kind etsi.Kind, want int, same func(int, *etsi.PDU) bool) {
	name := map[etsi.Kind]string{etsi.KindIRI: "iri.ber", etsi.KindCC: "cc.ber"}[kind]
	b, err := os.ReadFile(c.w.path("lemf", fmt.Sprintf("liid-%x", killLIID), fmt.Sprint(cin), name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.t.Fatal(err)
	}
	for i := 0; ; i++ {
		if len(b) == 0 {
			if i < want {
				c.differing += want - i
				c.wrong("session %d %s: the LEMF has %d, the store %d", cin, name, i, want)
			}
			return
		}
		p, n, err := etsi.Decode(b)
		if err != nil {
			c.wrong("session %d %s: %v", cin, name, err)
			return
		}
		b = b[n:]
		c.delivered++
		switch {
		case p.Seq != uint32(i): //nolint:gosec // small
			c.reordered++
			c.wrong("session %d %s: number %d at place %d", cin, name, p.Seq, i)
			return
		case i >= want || !same(i, &p):
			c.differing++
			c.wrong("session %d %s: number %d differs from the store's", cin, name, i)
		}
	}
}

// owner finds the call of a session; all its messages must be of one.
func (c *comparer) owner(cin li.CIN, iri []segment.IRIRecord) (call *loadCall) {
	for i := range iri {
		of := c.load.byID[headerOf(string(iri[i].SIP), "Call-ID")]
		if of == nil || call != nil && of != call {
			c.foreign++
			c.wrong("session %d: a message of another call", cin)
			return nil
		}
		call = of
	}
	if call == nil {
		c.wrong("session %d has no message", cin)
	}
	return call
}

// died reports whether what came through at a moment may have died with a gateway.
func (c *comparer) died(at time.Time) bool {
	return slices.ContainsFunc(c.load.kills, func(kill time.Time) bool {
		return at.After(kill.Add(-killWindow)) && at.Before(kill.Add(time.Second))
	})
}

// messages compares signalling: what the other side had is there, and nothing is
// there more often than it was sent.
func (c *comparer) messages(call *loadCall, iri []segment.IRIRecord) (excused int) {
	there := map[string]int{}
	last := map[string]time.Time{}
	for i := range iri {
		there[sipKey(string(iri[i].SIP))]++
		if at := iri[i].Time; at.Before(last[iri[i].Direction]) {
			c.reordered++
			c.wrong("call %d: message %d is older than one before it", call.n, i)
		} else {
			last[iri[i].Direction] = at
		}
	}
	for key, n := range there {
		if sent := call.sent[key]; sent == 0 && !strings.HasPrefix(key, "100 ") {
			c.foreign++
			c.wrong("call %d: %s was never sent", call.n, key)
		} else if n > sent {
			c.duplicated += n - sent
			c.wrong("call %d: %s is there %d times and was sent %d times", call.n, key, n, sent)
		}
	}
	for key, at := range call.heard {
		if strings.HasPrefix(key, "100 ") { // from hop to hop: the gateway's own
			continue
		}
		c.sent++
		if there[key] > 0 {
			continue
		}
		if slices.ContainsFunc(at, func(at time.Time) bool { return !c.died(at) }) {
			c.lost++
			c.wrong("call %d: %s is lost", call.n, key)
			continue
		}
		excused++
	}
	return excused
}

// packets compares media.
func (c *comparer) packets(call *loadCall, cin li.CIN, cc []segment.CCRecord) (excused int) {
	var there [2]map[int]bool
	last := [2]int{-1, -1}
	for i := range there {
		there[i] = map[int]bool{}
	}
	for i := range cc {
		_, _, p, err := x2x3.ParseDatagram(cc[i].Packet, cc[i].Format)
		if err != nil || len(p) < 12 {
			c.foreign++
			c.wrong("session %d: content %d is no RTP", cin, i)
			continue
		}
		side, n := int(binary.BigEndian.Uint32(p[8:]))-1-2*call.n, int(binary.BigEndian.Uint16(p[2:]))
		if side < 0 || side > 1 || n >= call.streams[side].sent || !bytes.Equal(p, loadPacket(call.ssrc(side), n)) ||
			cc[i].Direction != [2]x2x3.Direction{x2x3.FromTarget, x2x3.ToTarget}[side] {
			c.foreign++
			c.wrong("session %d: content %d is not the call's", cin, i)
			continue
		}
		switch {
		case there[side][n]:
			c.duplicated++
			c.wrong("call %d: packet %d of side %d is there twice", call.n, n, side)
		case n < last[side]:
			c.reordered++
			c.wrong("call %d: packet %d of side %d comes after %d", call.n, n, side, last[side])
		}
		there[side][n], last[side] = true, max(last[side], n)
	}
	for side := range call.streams {
		for n, at := range call.streams[side].got {
			if at.IsZero() {
				continue // the gateway died before it came through
			}
			c.sent++
			switch {
			case there[side][n]:
			case c.died(at):
				excused++
			default:
				c.lost++
				c.wrong("call %d, session %d: packet %d of side %d, heard at %s, is lost; %d of %d are there", call.n, cin, n, side, at.Format(time.TimeOnly), len(there[side]), call.streams[side].sent)
			}
		}
	}
	return excused
}

// absent judges a call that has no session: all that came through of it must have
// died with a gateway.
func (c *comparer) absent(call *loadCall) {
	c.excused += c.messages(call, nil) + c.packets(call, 0, nil)
}
