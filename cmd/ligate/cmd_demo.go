package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ligate/ligate/internal/demo"
	"github.com/ligate/ligate/internal/logging"
)

type demoCmd struct {
	Once bool   `help:"Exit when every step is verified: 0 only if all are."`
	Keep string `type:"path" help:"Keep everything in this folder: operator/, agency/."`
}

// demoLimit bounds the whole story.
const demoLimit = 2 * time.Minute

// Run plays the story; without --once it then serves until it is told to stop.
func (c *demoCmd) Run(ctx context.Context, s streams) error {
	dir := c.Keep
	var err error
	if dir == "" {
		if dir, err = os.MkdirTemp("", "ligate-demo-"); err != nil {
			return fmt.Errorf("make demo folder: %w", err)
		}
	}
	// The database's own user must be able to pass through.
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "operator", "logs"), 0o711), os.Chmod(dir, 0o711)); err != nil {
		return fmt.Errorf("make demo folder: %w", err)
	}
	st := &story{dir: dir, out: s.out, began: time.Now()}
	limited, cancel := context.WithTimeoutCause(ctx, demoLimit, errors.New("the demo took too long"))
	defer cancel()
	stop, err := st.play(limited, ctx)
	fmt.Fprintf(s.out, "\nEverything of this run is kept in %s (operator/, agency/, lemf/, people/): delete it when you have seen it.\n", dir)
	if err == nil && !c.Once {
		fmt.Fprintf(s.out, "\nThe API serves at %s until you press Ctrl-C.\n", st.api)
		<-ctx.Done()
	}
	return errors.Join(err, stop())
}

// world is what the demo starts: the operator's ligate, two subscribers and a PSTN
// gateway.
type world struct {
	ports  *demoPorts
	alice  *demo.Phone // the target
	bob    *demo.Phone // another subscriber
	office *demo.Phone // on-net callee, behind another core
	pstn   *demo.Phone
	node   *node
}

// The numbers of the story.
const (
	aliceNumber  = "+4930555001"
	bobNumber    = "+4930555002"
	officeNumber = "+4930777001"
	farNumber    = "+4989123456"
)

// startPhones binds the phones; they run until ctx ends.
func (w *world) startPhones(ctx context.Context, log *slog.Logger) error {
	foreign := logging.Foreign(log, "sipgo")
	for _, p := range []struct {
		phone **demo.Phone
		addr  string
		user  string
		says  demo.Speech
	}{
		{&w.alice, w.ports.alice, aliceNumber, demo.SubscriberSpeech()},
		{&w.bob, w.ports.bob, bobNumber, demo.SubscriberSpeech()},
		{&w.office, w.ports.office, officeNumber, demo.PSTNSpeech()},
		{&w.pstn, w.ports.pstn, farNumber, demo.PSTNSpeech()},
	} {
		phone, err := demo.NewPhone(demo.PhoneConfig{
			Addr: addrPort(p.addr), User: p.user, Proxy: addrPort(w.ports.sip), Says: p.says, Log: foreign,
		})
		if err != nil {
			return err
		}
		*p.phone = phone
		go func() { _ = phone.Run(ctx) }() // a phone that fails shows as a failed call
		select {
		case <-phone.Ready():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
