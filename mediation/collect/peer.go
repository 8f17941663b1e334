package collect

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"

	"github.com/ligate/ligate/li/x2x3"
)

// serve finds out who is calling and takes what comes.
func (c *Collector) serve(ctx context.Context, raw net.Conn, port Listen) {
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	element, secured, why := c.handshake(ctx, raw)
	<-c.handshakes
	if element == nil {
		if ctx.Err() == nil {
			c.ended(ctx, nil, why)
		}
		return
	}
	if !c.enter(element) {
		c.ended(ctx, element, endTooMany)
		return
	}
	defer c.leave(element)
	conn := &conn{
		Collector: c, element: element, tls: secured, in: x2x3.NewReader(secured),
		allowed: map[x2x3.Type]bool{x2x3.X2: port.X2 && element.X2, x2x3.X3: port.X3 && element.X3},
	}
	why = conn.run(ctx)
	if ctx.Err() != nil {
		why = endStopped
	}
	c.ended(ctx, element, why)
}

// handshake returns the element whose certificate the peer proved to have.
func (c *Collector) handshake(ctx context.Context, raw net.Conn) (*Element, *tls.Conn, end) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	var element *Element
	secured := tls.Server(raw, c.tls(func(e *Element) { element = e }))
	err := secured.HandshakeContext(ctx)
	switch {
	case err == nil:
		return element, secured, ""
	case errors.Is(err, errNoCertificate), errors.Is(err, errOutOfDate), errors.Is(err, errUnknown):
		return nil, nil, endCertificate
	}
	return nil, nil, endHandshake
}

// tls demands a client certificate and pins it: no authority stands between us and an
// element.
func (c *Collector) tls(found func(*Element)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{c.cfg.Certificate},
		ClientAuth: tls.RequestClientCert, SessionTicketsDisabled: true, // VerifyConnection demands it, and knows why there is none
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errNoCertificate
			}
			leaf, now := state.PeerCertificates[0], c.cfg.Now()
			sum := sha256.Sum256(leaf.Raw)
			element := c.elements[hex.EncodeToString(sum[:])]
			switch {
			case element == nil:
				return errUnknown
			case now.Before(leaf.NotBefore) || now.After(leaf.NotAfter):
				return errOutOfDate
			}
			found(element)
			return nil
		},
	}
}

// enter counts a connection of an element; false = it has as many as it may.
func (c *Collector) enter(e *Element) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[e.ID] >= c.cfg.PerPeer {
		return false
	}
	c.open[e.ID]++
	c.metrics.open[e.ID].Inc()
	return true
}

func (c *Collector) leave(e *Element) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[e.ID]--
	c.metrics.open[e.ID].Dec()
}
