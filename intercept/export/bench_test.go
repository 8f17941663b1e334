package export_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/intercept/export"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/internal/pkitest"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/collect"
)

// sink is a bus that stores at once and keeps nothing.
type sink struct{}

func (sink) PublishAll(_ context.Context, _ x2x3.Type, batch *bus.Batch) error {
	for i := range batch {
		batch[i] = batch[i][:0]
	}
	return nil
}

// spring is a bus of n messages of media, which tells when all are confirmed.
type spring struct {
	n     int
	data  []byte
	acked chan struct{}
}

func (s *spring) Consume(ctx context.Context, partition int, handle func(bus.Message)) error {
	if partition == 0 {
		left := make(chan struct{}, s.n)
		for i := range s.n {
			handle(bus.Message{Stream: "s", Seq: uint64(i + 1), Kind: x2x3.X3, Data: s.data, Ack: func() error {
				if left <- struct{}{}; len(left) == s.n {
					close(s.acked)
				}
				return nil
			}})
		}
	}
	<-ctx.Done()
	return nil
}

// One connection from our exporter to our listener, buses apart: TLS, both codecs,
// judging and confirming.
func BenchmarkExporterToListener(b *testing.B) {
	own, mdf := pkitest.Certificate(b, "gw-1"), pkitest.Certificate(b, "mdf")
	c, err := collect.New(collect.Config{
		Bus: sink{}, Tasks: allGiven{}, Refusals: allGiven{}, Alarms: allGiven{}, Log: slog.New(slog.DiscardHandler), Certificate: mdf,
		Listen: []collect.Listen{{Addr: "127.0.0.1:0", X2: true, X3: true}}, Elements: []collect.Element{{ID: "gw-1", Certificate: pkitest.Fingerprint(own), X2: true, X3: true}},
	})
	if err != nil {
		b.Fatal(err)
	}
	start(b, c.Run)
	<-c.Ready()
	const perMessage = 150
	s := &spring{n: b.N/perMessage + 1, acked: make(chan struct{})}
	xid := li.NewXID()
	for seq := range uint32(perMessage) {
		p := pdu(x2x3.X3, xid, 1, seq)
		p.Time, p.HasSequence = time.Now(), false // else all but the first are known
		if s.data, err = x2x3.AppendPDU(s.data, &p); err != nil {
			b.Fatal(err)
		}
	}
	addr := c.Addrs()[0].(*net.TCPAddr).String()
	b.SetBytes(int64(len(s.data) / perMessage))
	b.ReportAllocs()
	b.ResetTimer()
	e, err := export.New(export.Config{
		Bus: s, X2: addr, X3: addr, TLS: pki.Client(own, pkitest.Fingerprint(mdf)), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		b.Fatal(err)
	}
	start(b, e.Run)
	<-s.acked
	b.StopTimer()
	b.ReportMetric(float64(s.n*perMessage)/b.Elapsed().Seconds(), "PDU/s")
}
