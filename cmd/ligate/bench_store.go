package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/internal/bench"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// benchPacketBytes is a packet of 20 ms of G.711 with its RTP, UDP and IP headers.
const benchPacketBytes = 28 + benchRTPBytes

type benchStoreCmd struct{ benchFlags }

// Run measures sealing on one core, and commits of sealed segments to the disk and
// the database by one writer and by as many as mediation has.
func (c *benchStoreCmd) Run(ctx context.Context, s streams) error {
	report := bench.NewReport("store")
	return c.show(s, report, c.measure(ctx, report))
}

func (c *benchStoreCmd) measure(ctx context.Context, report *bench.Report) (err error) {
	perSecond, err := evidence.BenchSeal(benchPerSegment, c.length())
	if err != nil {
		return err
	}
	report.Add("seal_rate", perSecond/1e6, "MB/s/core")
	w, err := newBenchWorld(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for i, writers := range []int{1, 4} {
		rate, err := w.commits(ctx, writers, uint64(i)*100, c.length())
		if err != nil {
			return err
		}
		report.Add(fmt.Sprintf("commits_%d_writers", writers), rate, "segments/s")
	}
	return nil
}

// commits has each writer commit segments of a call of its own for about d, and
// returns the segments a second.
func (w *benchWorld) commits(ctx context.Context, writers int, firstCall uint64, d time.Duration) (perSecond float64, err error) {
	sealed, plain, err := w.sealOne()
	if err != nil {
		return 0, err
	}
	var committed atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for i := range writers {
		group.Go(func() error {
			p, err := w.store.Session(ctx, w.info, firstCall+uint64(i)+1, time.Now().UTC()) //nolint:gosec // small
			for err == nil && time.Since(start) < d {
				if err = w.commit(ctx, p, sealed, plain); err == nil {
					committed.Add(1)
				}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return float64(committed.Load()) / time.Since(start).Seconds(), nil
}

// sealOne makes a segment of 4 s of a call.
func (w *benchWorld) sealOne() (ciphertext []byte, plain segment.Hash, err error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	records := make([]segment.Record, benchPerSegment)
	for i := range records {
		records[i].CC = &segment.CCRecord{
			Seq: uint32(i), Time: now, Direction: x2x3.FromTarget, Format: x2x3.FormatIPv4, Packet: make([]byte, benchPacketBytes), //nolint:gosec // small
		}
	}
	plaintext, err := segment.Encode(segment.Header{
		LIID: benchLIID, CIN: 1, Segment: 1, Kind: segment.KindCC, LastSeq: benchPerSegment - 1, Created: now, Salt: segment.NewSalt(),
	}, records)
	if err != nil {
		return nil, plain, err
	}
	to, err := segment.ParseRecipients(w.info.Recipients)
	if err != nil {
		return nil, plain, err
	}
	ciphertext, err = segment.Seal(to, plaintext)
	return ciphertext, sha256.Sum256(plaintext), err
}

// commit stores the ciphertext as the session's next segment.
func (w *benchWorld) commit(ctx context.Context, p *evidence.Progress, ciphertext []byte, plain segment.Hash) error {
	blob, err := w.store.Put(ctx, p, ciphertext)
	if err != nil {
		return err
	}
	now, next := time.Now().UTC(), *p
	next.NextCC, next.TapSeqX3, next.LastAt = p.NextCC+benchPerSegment, p.TapSeqX3+benchPerSegment, now
	return w.store.Commit(ctx, p, next, evidence.Sealed{
		Kind: segment.KindCC, FirstSeq: p.NextCC, LastSeq: next.NextCC - 1, FirstTime: now, LastTime: now, Plaintext: plain, Blob: blob,
		Through: []evidence.Position{{Bus: "bench", Kind: segment.KindCC, Seq: uint64(p.Segments) + 1}},
	})
}
