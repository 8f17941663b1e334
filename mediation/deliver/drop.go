package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/evidence"
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
	lateness

	queue *queue
	spool *bus.Spool
}

// openDrop opens the spool of an agency's capture files and lets its writer run. Where
// it is open its limit becomes that of the delivery.
func (k *keeper) openDrop(ctx context.Context, d warrant.Delivery) error {
	late := newLateness(k.agency, "drop")
	if k.cfg.Drop.Dir == "" || len(k.cfg.Drop.Key) < minDropKey || k.cfg.Drop.Recipients == nil {
		_ = openAlarm(ctx, k.cfg.Alarms, alarmBroken, late.name)
		return errNoDrop
	}
	spool, err := k.spool(ctx, "drop", d.BufferCC)
	if err != nil || k.drop != nil {
		return err
	}
	k.drop = &dropChannel{lateness: late, queue: newQueue(), spool: spool}
	k.write(ctx, k.drop)
	return nil
}

// write lets the queue and the writer of the agency's capture files run.
func (k *keeper) write(ctx context.Context, c *dropChannel) {
	room := &dropRoom{Spool: c.spool, full: func() {
		k.metrics.refused("drop", 1)
		_ = openAlarm(ctx, k.cfg.Alarms, alarmFull, c.name)
	}}
	w := &dropWriter{
		Drop: k.cfg.Drop, agency: k.agency, name: c.name, spool: c.spool, now: k.cfg.Now, trouble: k.trouble, alarms: k.cfg.Alarms,
		files: k.metrics.files.WithLabelValues(string(k.agency)), malformed: k.metrics.malformed.WithLabelValues(string(k.agency), "drop"),
	}
	k.running.Go(func() { c.queue.run(ctx, room, k.stuck(ctx, c.name)) })
	k.running.Go(func() { k.hold(ctx, c.name, "drop", w.run) })
}

// dropRoom is a spool that shows when it has no room. The next file says what is
// missing, or the one that the end of the call brings.
type dropRoom struct {
	*bus.Spool

	full func()
}

// Publish implements spool.
func (r *dropRoom) Publish(ctx context.Context, id string, data []byte) error {
	err := r.Spool.Publish(ctx, id, data)
	if errors.Is(err, bus.ErrFull) {
		r.full()
	}
	return err
}

// drops reports whether records of a kind go into capture files.
func (l *Line) drops(kind segment.Kind) bool {
	out := l.way.now.Load()
	return l.delivery.FileDrop && out != nil && out.delivery.FileDrop && (kind == segment.KindIRI || l.ordered)
}

// pushDrop puts records on their way to a capture file. On the spool they stand as the
// plaintext of a segment: PS-PDUs have no ports of signalling.
func (l *Line) pushDrop(kind segment.Kind, first uint32, records []segment.Record) (receipts []*Receipt, err error) {
	out := l.way.now.Load()
	if out == nil || out.drop == nil {
		return nil, nil // the file of the call's end names them
	}
	for len(records) > 0 {
		n, octets := 0, 0
		for n < len(records) && octets < runBytes {
			octets += recordBytes(records[n])
			n++
		}
		plain, err := segment.Encode(segment.Header{
			LIID: l.liid, CIN: l.cin, Segment: 1, Kind: kind, FirstSeq: first, LastSeq: first + uint32(n) - 1, //nolint:gosec // bounded by records
			Created: records[0].Time(), Salt: make([]byte, dropSalt),
		}, numbered(first, records[:n]))
		if err != nil {
			return receipts, fmt.Errorf("deliver: capture file: %w", err)
		}
		receipt, err := out.drop.push(func(dst []byte) ([]byte, error) {
			start := len(dst)
			dst = append(beginRun(dst, 0, first, uint32(n), records[0].Time()), plain...) //nolint:gosec // as above
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

// endOfSession is the session of a run that says up to which numbers a session goes:
// first is the number after its last IRI, count that after its last CC.
const endOfSession = 1

// Ended says in the capture files up to which numbers a session went: what no file has
// is named in its last.
func (l *Line) Ended(nextIRI, nextCC uint32, at time.Time) ([]evidence.Entailed, error) {
	if l == nil || !l.drops(segment.KindIRI) {
		return nil, nil
	}
	if !l.drops(segment.KindCC) {
		nextCC = 0
	}
	names, err := segment.Encode(segment.Header{LIID: l.liid, CIN: l.cin, Segment: 1, Kind: segment.KindIRI, Created: at, Salt: make([]byte, dropSalt)}, nil)
	if err != nil {
		return nil, fmt.Errorf("deliver: capture file: %w", err)
	}
	b := append(beginRun(nil, endOfSession, nextIRI, nextCC, time.Time{}), names...)
	endRun(b, 0)
	return []evidence.Entailed{{Kind: evidence.ForFiles, PDU: b}}, nil
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
