package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

// Drop is how capture files are written: DIR/<agency>/<name>.pcapng.age, each a pcapng
// of some of one session's packets, sealed to the agency's keys before it touches the
// disk. A name tells nothing to who does not hold Key.
type Drop struct {
	Dir        string                                                    // empty = no delivery may want capture files
	Key        []byte                                                    // at least 32 octets; names files
	Recipients func(context.Context, warrant.AgencyID) ([]string, error) // age recipients; required with Dir
	Every      time.Duration                                             // a file holds so much of a call; default 1m
	Bytes      int                                                       // or so many octets of packets; default 8 MiB
	Keep       time.Duration                                             // files older than this are removed; 0 = never
	Version    string                                                    // of this program, for the capture; default devel
}

func (d Drop) withDefaults() Drop {
	if d.Every == 0 {
		d.Every = time.Minute
	}
	if d.Bytes == 0 {
		d.Bytes = 8 << 20
	}
	if d.Version == "" {
		d.Version = "devel"
	}
	return d
}

var errNoDrop = errors.New("deliver: the delivery wants capture files, and there is no folder for them")

// dropChannel is one agency's way to its folder. It lasts until Run ends: what was
// taken while a delivery wanted it is written.
type dropChannel struct {
	name  string // of alarms
	queue *queue
	spool *bus.Spool
	late  bool // the lag alarm is open
}

// openDrop opens the spool of an agency's capture files and lets its writer run, once.
func (m *manager) openDrop(ctx context.Context, d warrant.Delivery) (*queue, error) {
	if c := m.drops[d.AgencyID]; c != nil {
		return c.queue, nil
	}
	name := "agency " + string(d.AgencyID) + " drop"
	if m.cfg.Drop.Dir == "" || len(m.cfg.Drop.Key) < minDropKey || m.cfg.Drop.Recipients == nil {
		_ = openAlarm(ctx, m.cfg.Alarms, alarmBroken, name)
		return nil, errNoDrop
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	spool, err := m.cfg.Bus.Spool(attempt, string(d.AgencyID)+"-drop", d.BufferCC)
	if err != nil {
		return nil, err
	}
	c := &dropChannel{name: name, queue: newQueue(), spool: spool}
	m.drops[d.AgencyID] = c
	room := &dropRoom{Spool: spool, full: func() {
		m.metrics.refused("drop", 1)
		_ = openAlarm(ctx, m.cfg.Alarms, alarmFull, name)
	}}
	w := &dropWriter{
		Drop: m.cfg.Drop, agency: d.AgencyID, name: name, spool: spool, now: m.cfg.Now, trouble: m.trouble, alarms: m.cfg.Alarms,
		files: m.metrics.files.WithLabelValues(string(d.AgencyID)), malformed: m.metrics.malformed.WithLabelValues(string(d.AgencyID), "drop"),
	}
	m.running.Go(func() { c.queue.run(ctx, room, m.stuck(ctx, name)) })
	m.running.Go(func() {
		for ctx.Err() == nil {
			if err := m.cfg.Hold(ctx, "handover "+name, w.run); err != nil {
				m.trouble(ctx, "drop", err)
				pause(ctx, time.Second)
			}
		}
	})
	return c.queue, nil
}

// dropRoom is a spool without room for which is no reason to tell the LEMF: the next
// file says what is missing.
type dropRoom struct {
	*bus.Spool

	full func()
}

// Publish implements spool.
func (r *dropRoom) Publish(ctx context.Context, id string, data []byte) error {
	err := r.Spool.Publish(ctx, id, data)
	if errors.Is(err, bus.ErrFull) {
		r.full()
		return nil
	}
	return err
}

// dropLag shows what waits too long to become a file.
func (m *manager) dropLag(ctx context.Context) {
	m.refreshing.Lock()
	defer m.refreshing.Unlock()
	for id, c := range m.drops {
		limit := m.cfg.Drop.Every + time.Minute
		m.mu.Lock()
		if out := m.agencies[id]; out != nil {
			limit = m.cfg.Drop.Every + out.delivery.LagAlarm
		}
		m.mu.Unlock()
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		b, err := c.spool.Backlog(attempt)
		cancel()
		if err != nil {
			continue
		}
		m.metrics.backlog(id, "drop", b.Messages, b.Octets)
		late := b.Messages > 0 && m.cfg.Now().Sub(b.Oldest) > limit
		switch {
		case late && !c.late:
			c.late = openAlarm(ctx, m.cfg.Alarms, alarmLag, c.name)
		case !late && c.late:
			c.late = !closeAlarm(ctx, m.cfg.Alarms, alarmLag, c.name)
		}
	}
}

// drops reports whether records of a kind go into capture files.
func (l *Line) drops(kind segment.Kind) bool {
	return l.agency.drop != nil && !l.agency.dropGone.Load() && (kind == segment.KindIRI || l.ordered)
}

// pushDrop puts records on their way to a capture file. On the spool they stand as the
// plaintext of a segment: PS-PDUs have no ports of signalling.
func (l *Line) pushDrop(kind segment.Kind, first uint32, records []segment.Record) (receipts []*Receipt, err error) {
	for len(records) > 0 {
		n, octets := 0, 0
		for n < len(records) && octets < runBytes {
			octets += recordBytes(records[n])
			n++
		}
		plain, err := segment.Encode(segment.Header{
			LIID: l.liid, CIN: l.cin, Segment: 1, Kind: kind, FirstSeq: first, LastSeq: first + uint32(n) - 1, //nolint:gosec // bounded by records
			Created: timeOf(records[0]), Salt: make([]byte, dropSalt),
		}, numbered(first, records[:n]))
		if err != nil {
			return receipts, fmt.Errorf("deliver: capture file: %w", err)
		}
		receipt, err := l.agency.drop.push(func(dst []byte) ([]byte, error) {
			start := len(dst)
			dst = append(beginRun(dst, 0, first, uint32(n), timeOf(records[0])), plain...) //nolint:gosec // as above
			endRun(dst, start)
			return dst, nil
		})
		if err != nil {
			return receipts, fmt.Errorf("deliver: capture file: %w", err)
		}
		if len(receipts) == 0 || receipts[len(receipts)-1] != receipt {
			receipts = append(receipts, receipt)
		}
		first += uint32(n) //nolint:gosec // as above
		records = records[n:]
	}
	return receipts, nil
}

// dropSalt is the length of a segment header's salt: zeros on the spool, where nothing
// is compared with its hash.
const dropSalt = 32

func recordBytes(r segment.Record) int {
	if r.IRI != nil {
		return 512 + 2*len(r.IRI.SIP)
	}
	return 32 + len(r.CC.Packet)
}

// numbered is copies of records with their numbers.
func numbered(first uint32, records []segment.Record) []segment.Record {
	all := make([]segment.Record, len(records))
	for i, r := range records {
		seq := first + uint32(i) //nolint:gosec // bounded by records
		if r.IRI != nil {
			iri := *r.IRI
			iri.Seq = seq
			all[i].IRI = &iri
			continue
		}
		cc := *r.CC
		cc.Seq = seq
		all[i].CC = &cc
	}
	return all
}
