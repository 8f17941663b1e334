package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/internal/bench"
)

type benchPeersCmd struct {
	Relay    benchPeersRelayCmd    `cmd:"" help:"Our media relay beside Debian's rtpengine: time a packet, delay, loss."`
	SIP      benchPeersSIPCmd      `cmd:"" name:"sip" help:"Our SIP proxy beside Debian's kamailio: time a call, failed calls, order of 180 and 200."`
	Memory   benchPeersMemoryCmd   `cmd:"" help:"Memory per call in progress of both proxies."`
	Capacity benchPeersCapacityCmd `cmd:"" help:"Most calls that each relay carries on one core."`
}

// relayView shows the relay as the proxy wants it.
func relayView(r *media.Relay) sipproxy.Relay { return relayAdapter{r} }

type benchGatewayCmd struct{}

// Run is the gateway process that is measured as the peers are.
func (c *benchGatewayCmd) Run(ctx context.Context, s streams) error {
	return bench.Gateway(ctx, os.Stdin, s.out, relayView)
}

func (f benchFlags) peers() bench.PeersConfig {
	return bench.PeersConfig{Config: f.config(), GatewayArgs: []string{"bench", "gateway"}}
}

// showPeers is show; a peer that is not installed is the caller's to install.
func (f benchFlags) showPeers(s streams, r *bench.Report, err error) error {
	var missing *bench.MissingPeerError
	if errors.As(err, &missing) {
		return usagef("%w", missing)
	}
	return f.show(s, r, err)
}

type benchPeersRelayCmd struct {
	benchFlags

	Calls  int `default:"500" help:"Calls of 50 packets a second each way."`
	Tapped int `default:"10" help:"Percentage of them that is tapped."`
	Rounds int `default:"5" help:"Runs of each relay, in turn."`
}

// Run compares the relays.
func (c *benchPeersRelayCmd) Run(ctx context.Context, s streams) error {
	r, err := bench.RelayPeers(ctx, c.peers(), c.Calls, c.Tapped, max(1, c.Rounds))
	return c.showPeers(s, r, err)
}

type benchPeersCapacityCmd struct {
	JSON    bool  `help:"One JSON object instead of a table."`
	Seconds int   `default:"6" help:"Length of each run; buffers hide an overload of a few seconds."`
	Steps   []int `default:"500,750,1000,1500,2000,2500,3000,4000" help:"Numbers of calls in rising order."`
}

// Run finds how many calls a core carries.
func (c *benchPeersCapacityCmd) Run(ctx context.Context, s streams) error {
	f := benchFlags{JSON: c.JSON, Seconds: c.Seconds}
	if err := f.Validate(); err != nil {
		return err
	}
	r, err := bench.Capacity(ctx, f.peers(), c.Steps)
	return f.showPeers(s, r, err)
}

type benchPeersSIPCmd struct {
	benchFlags

	Window int `default:"50" help:"Calls in the air in the first variant."`
	Rate   int `default:"1000" help:"New calls a second in the second variant."`
	Rounds int `default:"3" help:"Runs of each proxy and variant, in turn."`
}

// Run compares the proxies.
func (c *benchPeersSIPCmd) Run(ctx context.Context, s streams) error {
	r, err := bench.SIPPeers(ctx, c.peers(), c.Window, c.Rate, max(1, c.Rounds))
	return c.showPeers(s, r, err)
}

type benchPeersMemoryCmd struct {
	JSON  bool          `help:"One JSON object instead of a table."`
	Calls int           `default:"5000" help:"Calls in progress."`
	T1    time.Duration `name:"t1" default:"100ms" help:"The proxy's T1; it keeps transactions for 64 of them. The standard's is 500ms."`
}

// Run compares memory per call.
func (c *benchPeersMemoryCmd) Run(ctx context.Context, s streams) error {
	f := benchFlags{JSON: c.JSON}
	r, err := bench.MemoryPeers(ctx, f.peers(), c.Calls, c.T1)
	return f.showPeers(s, r, err)
}
