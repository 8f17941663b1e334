package main

import (
	"context"
	"errors"
	"os"

	"github.com/ligate/ligate/intercept/media"
	"github.com/ligate/ligate/intercept/sipproxy"
	"github.com/ligate/ligate/internal/bench"
)

type benchPeersCmd struct {
	Relay    benchPeersRelayCmd    `cmd:"" help:"Our media relay beside Debian's rtpengine: time a packet, delay, loss."`
	Capacity benchPeersCapacityCmd `cmd:"" help:"The same on one core each, more and more calls."`
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

	Calls  int `default:"500" help:"Calls of 50 packets a second each way, a tenth tapped."`
	Rounds int `default:"5" help:"Runs of each relay, in turn."`
}

// Run compares the relays.
func (c *benchPeersRelayCmd) Run(ctx context.Context, s streams) error {
	r, err := bench.RelayPeers(ctx, c.peers(), c.Calls, max(1, c.Rounds))
	return c.showPeers(s, r, err)
}

type benchPeersCapacityCmd struct {
	benchFlags

	Steps []int `default:"500,750,1000,1500,2000,2500,3000,4000" help:"Numbers of calls in rising order."`
}

// Run finds how many calls a core carries.
func (c *benchPeersCapacityCmd) Run(ctx context.Context, s streams) error {
	r, err := bench.Capacity(ctx, c.peers(), c.Steps)
	return c.showPeers(s, r, err)
}
