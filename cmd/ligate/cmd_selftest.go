package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ligate/ligate/internal/agency"
	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/logging"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

type selftestCmd struct {
	pullFlags
	LIID string `name:"liid" required:"" help:"Test warrant of the line: one for each gateway."`

	Gateway string        `required:"" help:"The gateway's SIP listener for subscribers, address:port."`
	Access  string        `required:"" help:"Our end on the subscribers' side, address:port: a core peer of the gateway."`
	Trunk   string        `required:"" help:"Our end on the network's side, address:port: a trunk peer of the gateway."`
	Line    string        `required:"" help:"The test line that the warrant names, +49…"`
	Far     string        `required:"" help:"A number that the gateway routes to --trunk, +49…"`
	Within  time.Duration `default:"1m" help:"How soon the call must have arrived."`
}

// Errors of a self-test: what did not work.
var (
	errSelfCall    = errors.New("the call did not go through the gateway")
	errSelfMedia   = errors.New("the call's media did not go through the gateway")
	errSelfArrival = errors.New("the call did not reach the agency in time: nothing was tapped, or mediation or delivery stands")
	errSelfAudio   = errors.New("what reached the agency is not what was said")
)

// Run places a call on a test line and holds what reaches the test agency against what
// was said. Only then it is acknowledged: the receipt is the operator's record that the
// gateway works.
func (c *selftestCmd) Run(ctx context.Context, s streams) error {
	client, err := c.client(s, nil)
	if err != nil {
		return err
	}
	began := time.Now()
	before, err := client.Pull(ctx, li.LIID(c.LIID))
	if err != nil {
		return err
	}
	if err := c.call(ctx, s); err != nil {
		return err
	}
	session, err := c.arrived(ctx, client, newest(before))
	if err != nil {
		return err
	}
	if err := c.compare(ctx, client, session); err != nil {
		return err
	}
	if err := client.Ack(ctx, session); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s session %d: tapped, sealed, handed over, opened and as it was said, sample for sample, %.1f s after it began\n", c.LIID, session.CIN, time.Since(began).Seconds())
	return nil
}

func newest(all []segment.SessionDoc) (cin li.CIN) {
	for _, d := range all {
		cin = max(cin, d.CIN)
	}
	return cin
}

// What each side says in two seconds.
func lineSpeech() demo.Speech { return demo.SubscriberSpeech().Seconds(2) }
func farSpeech() demo.Speech  { return demo.PSTNSpeech().Seconds(2) }

// call places the call, with a phone on each side of the gateway.
func (c *selftestCmd) call(ctx context.Context, s streams) error {
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	phones, running := errgroup.WithContext(ctx)
	defer func() { cancel(); _ = phones.Wait() }()
	log := logging.Foreign(logging.New(s.err, slog.LevelWarn), "sipgo")
	phone := func(name, at, user string, says demo.Speech) (*demo.Phone, error) {
		addr, err := netip.ParseAddrPort(at)
		if err != nil {
			return nil, usagef("--%s: want address:port", name)
		}
		proxy, err := netip.ParseAddrPort(c.Gateway)
		if err != nil {
			return nil, usagef("--gateway: want address:port")
		}
		p, err := demo.NewPhone(demo.PhoneConfig{Addr: addr, User: user, Proxy: proxy, Says: says, Log: log})
		if err != nil {
			return nil, &usageError{err}
		}
		phones.Go(func() error { return p.Run(running) })
		select {
		case <-p.Ready():
			return p, nil
		case <-running.Done():
			return nil, context.Cause(running)
		}
	}
	if _, err := phone("trunk", c.Trunk, c.Far, farSpeech()); err != nil {
		return err
	}
	line, err := phone("access", c.Access, c.Line, lineSpeech())
	if err != nil {
		return err
	}
	packets := len(farSpeech()) / demo.FrameSamples
	heard, err := line.Call(ctx, c.Far, lineSpeech(), packets)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errSelfCall, err)
	case heard.Status != http.StatusOK:
		return fmt.Errorf("%w: it was answered with %d", errSelfCall, heard.Status)
	case heard.CallerHeard < packets:
		return fmt.Errorf("%w: %d of %d packets came", errSelfMedia, heard.CallerHeard, packets)
	}
	return nil
}

// arrived waits for a session that is newer, and ended.
func (c *selftestCmd) arrived(ctx context.Context, client *agency.Client, after li.CIN) (segment.SessionDoc, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	for {
		all, err := client.Pull(ctx, li.LIID(c.LIID))
		if err != nil && ctx.Err() == nil {
			return segment.SessionDoc{}, err
		}
		for _, d := range all {
			if d.CIN > after && d.EndedAt != nil {
				return d, nil
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return segment.SessionDoc{}, errSelfArrival
		}
	}
}

// compare opens a session, and leaves nothing of that behind.
func (c *selftestCmd) compare(ctx context.Context, client *agency.Client, d segment.SessionDoc) error {
	ids, err := agency.Identities(c.Keys)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "opened-")
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "session")
	if _, err := open.Session(ctx, open.Config{Source: client.Sealed(d.LIID, d.CIN), Out: out, Identities: ids, Version: version}); err != nil {
		return err
	}
	if err := heard(out, lineSpeech(), farSpeech()); err != nil {
		return fmt.Errorf("%w: %w", errSelfAudio, err)
	}
	return nil
}
