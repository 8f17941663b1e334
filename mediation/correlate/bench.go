package correlate

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

const (
	benchBatch   = 200 // packets a bus message
	benchPayload = 200 // octets a packet
)

// Bench mediates n packets of the given number of calls, sealed to one recipient
// and then thrown away, and returns the packets per second: what correlating and
// sealing cost without bus, database and blob store.
func Bench(ctx context.Context, recipient string, calls, n int) (perSecond float64, err error) {
	b := &bench{recipient: recipient, xid: li.NewXID(), calls: make([][]uint64, bus.Partitions), rounds: max(1, n/benchBatch/calls)}
	for call := range calls {
		correlation := uint64(call) + 1 //nolint:gosec // small
		p := bus.Partition(b.xid, correlation)
		b.calls[p] = append(b.calls[p], correlation)
	}
	c, err := New(Config{Bus: b, Tasks: b, Store: b, Alarms: b, Log: slog.New(slog.DiscardHandler), SegmentBytes: benchBatch * benchPayload * 20, CCEvery: time.Second})
	if err != nil {
		return 0, err
	}
	ctx, b.stop = context.WithCancel(ctx)
	defer b.stop()
	messages := calls * b.rounds
	b.open.Store(int64(messages))
	start := time.Now()
	if err := c.Run(ctx); err != nil {
		return 0, err
	}
	return float64(messages*benchBatch) / time.Since(start).Seconds(), nil
}

// bench is a bus that has some packets of each call, and a store that keeps nothing.
type bench struct {
	recipient string
	xid       li.XID
	calls     [][]uint64   // by partition
	rounds    int          // messages of each call
	open      atomic.Int64 // messages that are not acknowledged
	stop      context.CancelFunc
}

// ConsumeWhile makes the messages as it hands them out, which is part of the cost.
func (b *bench) ConsumeWhile(ctx context.Context, partition int, _ func(context.Context) error, handle func(bus.Message)) error {
	payload, at := make([]byte, benchPayload), time.Now().UTC()
	for i := range b.rounds {
		for j, correlation := range b.calls[partition] {
			var data []byte
			for k := range benchBatch {
				p := x2x3.PDU{
					Type: x2x3.X3, Format: x2x3.FormatIPv4, Direction: x2x3.FromTarget, XID: b.xid, Correlation: correlation,
					Sequence: uint32(i*benchBatch + k), HasSequence: true, Time: at, Payload: payload, //nolint:gosec // small
				}
				data, _ = x2x3.AppendPDU(data, &p) // a constant PDU is valid
			}
			seq := uint64(i*len(b.calls[partition])+j) + 1 //nolint:gosec // small
			handle(bus.Message{Stream: "bench", Seq: seq, Kind: x2x3.X3, Data: data, Ack: b.ack})
		}
	}
	<-ctx.Done()
	return nil
}

func (b *bench) ack() error {
	if b.open.Add(-1) == 0 {
		b.stop()
	}
	return nil
}

// TaskInfo implements taskSource.
func (b *bench) TaskInfo(_ context.Context, xid li.XID) (warrant.TaskInfo, error) {
	now := time.Now()
	return warrant.TaskInfo{
		XID: xid, LIID: "BENCH", Recipients: []string{b.recipient}, Media: true, From: now.Add(-time.Hour), Until: now.Add(time.Hour),
	}, nil
}

// OpenSessions implements evidenceStore, as do the other methods.
func (b *bench) OpenSessions(context.Context, func(li.XID, uint64) bool) ([]*evidence.Progress, error) {
	return nil, nil
}

// Session opens a session that is kept nowhere.
func (b *bench) Session(_ context.Context, info warrant.TaskInfo, correlation uint64, at time.Time) (*evidence.Progress, error) {
	return &evidence.Progress{
		LIID: info.LIID, CIN: li.CIN(correlation), XID: info.XID, Correlation: correlation, TapSeqX2: -1, TapSeqX3: -1, StartedAt: at, LastAt: at, //nolint:gosec // small
	}, nil
}

// Reload knows nothing else.
func (b *bench) Reload(_ context.Context, p *evidence.Progress) (*evidence.Progress, error) {
	return p, nil
}

// Put hashes as a store does.
func (b *bench) Put(_ context.Context, _ *evidence.Progress, ciphertext []byte) (evidence.Blob, error) {
	_ = sha256.Sum256(ciphertext)
	return evidence.Blob{}, nil
}

// Commit moves the session.
func (b *bench) Commit(_ context.Context, p *evidence.Progress, next evidence.Progress, sealed evidence.Sealed) error {
	next.Segments = p.Segments + 1
	next.ChainHead = segment.ChainNext(p.ChainHead, next.Segments, sealed.Plaintext, sealed.Plaintext)
	*p = next
	return nil
}

// Close moves the session.
func (b *bench) Close(_ context.Context, p *evidence.Progress, next evidence.Progress, _ []evidence.Entailed) error {
	*p = next
	return nil
}

// Refuse keeps no record.
func (b *bench) Refuse(context.Context, li.XID, string) error { return nil }

// OpenAlarm implements alarms.
func (b *bench) OpenAlarm(context.Context, string, string) error { return nil }

// CloseAlarm implements alarms.
func (b *bench) CloseAlarm(context.Context, string, string) error { return nil }
