package bus

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ligate/ligate/li/x2x3"
)

const (
	publishTimeout = 5 * time.Second
)

// Publish stores encoded PDUs of one kind and one partition, that of the PDUs' calls.
// nil means stored. With a server of our own it tries once; with a cluster it tries
// until a new leader must have been elected. A caller that tries the same octets again
// within two minutes stores them once, also when an attempt succeeded unseen.
func (b *Bus) Publish(ctx context.Context, kind x2x3.Type, partition int, pdus []byte) error {
	if partition < 0 || partition >= Partitions {
		return ErrPartition
	}
	var batch Batch
	batch[partition] = pdus
	return b.PublishAll(ctx, kind, &batch)
}

// PublishAll is Publish for several partitions at once. It empties the slots that are
// stored; nil means all are. After an error the caller tries again with what is left,
// before it publishes anything newer.
func (b *Bus) PublishAll(ctx context.Context, kind x2x3.Type, batch *Batch) error {
	if kind != x2x3.X2 && kind != x2x3.X3 {
		return ErrKind
	}
	select {
	case <-b.ready:
	default:
		return ErrStopped
	}
	if b.sealer == nil {
		return b.attempt(ctx, kind, batch)
	}
	ctx, cancel := context.WithTimeout(ctx, leaderTime)
	defer cancel()
	for wait := minRetry; ; wait = min(2*wait, time.Second) {
		err := b.attempt(ctx, kind, batch)
		if err == nil || errors.Is(err, ErrFull) || !pause(ctx, wait) {
			return err
		}
	}
}

// attempt sends a batch and waits for the answers.
func (b *Bus) attempt(ctx context.Context, kind x2x3.Type, batch *Batch) (failed error) {
	var sent [Partitions]jetstream.PubAckFuture
	for p, pdus := range batch {
		if len(pdus) == 0 {
			continue
		}
		msg := &nats.Msg{Subject: subject(kind, p)}
		msg.Data = b.seal(place(msg.Subject, ""), pdus)
		// The client has copied the octets when this returns, and does not retry.
		future, err := b.link.js.PublishMsgAsync(msg, jetstream.WithMsgID(b.names.name(pdus)), jetstream.WithRetryAttempts(0))
		if err != nil {
			failed = publishError(err)
			continue
		}
		sent[p] = future
	}
	for p, future := range sent {
		if future == nil {
			continue
		}
		if err := stored(ctx, future); err != nil {
			failed = err
			continue
		}
		batch[p] = batch[p][:0]
	}
	return failed
}

// stored waits for the answer; the client gives one within its ackTimeout.
func stored(ctx context.Context, future jetstream.PubAckFuture) error {
	select {
	case <-future.Ok():
		return nil
	case err := <-future.Err():
		return publishError(err)
	case <-ctx.Done():
		return publishError(ctx.Err())
	}
}

func publishError(err error) error {
	if isFull(err) {
		return ErrFull
	}
	return fmt.Errorf("bus: publish: %w", err)
}

// namer names messages by their octets, for this process only: who publishes again is
// the process that did not see the answer. PDUs carry XID, sequence number and time,
// so equal octets are one message. The seeds keep the name from telling about content.
type namer struct {
	process string
	seeds   [2]maphash.Seed
}

func newNamer() namer {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	return namer{process: hex.EncodeToString(random), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

func (n *namer) name(pdus []byte) string {
	id := append(make([]byte, 0, 64), n.process...)
	for _, seed := range n.seeds {
		id = strconv.AppendUint(append(id, '.'), maphash.Bytes(seed, pdus), 36)
	}
	return string(id)
}
