package bus

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ligate/ligate/li/x2x3"
)

const (
	publishTimeout = 5 * time.Second
	idBytes        = 16
	codeFull       = 10077 // JetStream: maximum bytes exceeded
)

// Publish stores encoded PDUs of one kind. nil means stored. It tries once; a
// caller that tries the same octets again within two minutes stores them once,
// also when the first attempt succeeded unseen.
func (b *Bus) Publish(ctx context.Context, kind x2x3.Type, pdus []byte) error {
	select {
	case <-b.ready:
	default:
		return ErrStopped
	}
	subject, ok := subjects()[kind]
	if !ok {
		return ErrKind
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err := b.link.js.Publish(ctx, subject, pdus, jetstream.WithMsgID(b.id(pdus)))
	if isFull(err) {
		return ErrFull
	}
	if err != nil {
		return fmt.Errorf("bus: publish: %w", err)
	}
	return nil
}

func subjects() map[x2x3.Type]string {
	return map[x2x3.Type]string{x2x3.X2: subjectX2, x2x3.X3: subjectX3}
}

// id names a message by its octets. PDUs carry XID, sequence number and time, so
// equal octets are one message. The key keeps the name from telling about content.
func (b *Bus) id(pdus []byte) string {
	mac := hmac.New(sha256.New, b.cfg.Key)
	mac.Write([]byte("ligate-bus-id/1\n"))
	mac.Write(pdus)
	return hex.EncodeToString(mac.Sum(nil)[:idBytes])
}
