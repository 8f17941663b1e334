package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/ligate/ligate/internal/bench"
)

type benchCmd struct {
	Relay     benchRelayCmd     `cmd:"" help:"Packets a second and processor time a packet of the media relay."`
	Tee       benchTeeCmd       `cmd:"" help:"The same with 0 %, 10 % and 100 % of the calls tapped, in turn."`
	SIP       benchSIPCmd       `cmd:"" name:"sip" help:"Calls a second through the SIP proxy."`
	Mediation benchMediationCmd `cmd:"" help:"Packets a second through mediation; approval to tap."`
	Store     benchStoreCmd     `cmd:"" help:"Sealing, and commits of sealed segments."`
	Tasking   benchTaskingCmd   `cmd:"" help:"Approval to tap on every gateway, and revocation to silence, beside many Tasks."`
	Audit     benchAuditCmd     `cmd:"" help:"Entries a second on the audit log with a checkpoint each second; offline verification."`
	Peers     benchPeersCmd     `cmd:"" help:"The gateway beside Debian's rtpengine and kamailio, on the same load."`
	Load      benchLoadCmd      `cmd:"" hidden:"" help:"The load process of the measurements."`
	Gateway   benchGatewayCmd   `cmd:"" hidden:"" help:"The gateway process of the comparisons."`
}

type benchFlags struct {
	JSON    bool `help:"One JSON object instead of a table."`
	Seconds int  `default:"5" help:"Length of each run."`
}

// Validate is kong's hook.
func (f benchFlags) Validate() error {
	if f.Seconds < 1 {
		return usagef("--seconds: want at least 1")
	}
	return nil
}

func (f benchFlags) length() time.Duration { return time.Duration(f.Seconds) * time.Second }

func (f benchFlags) config() bench.Config {
	return bench.Config{LoadArgs: []string{"bench", "load"}, Length: f.length()}
}

// show prints a report as JSON or as a table, unless there was an error.
func (f benchFlags) show(s streams, r *bench.Report, err error) error {
	if err != nil {
		return err
	}
	if !f.JSON {
		return r.Print(s.out)
	}
	if err := json.NewEncoder(s.out).Encode(r); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

type benchLoadCmd struct{}

// Run is the load process.
func (c *benchLoadCmd) Run(s streams) error { return bench.Load(os.Stdin, s.out) }

type benchRelayCmd struct {
	benchFlags

	Calls []int `default:"200,600,1200" help:"Numbers of calls, a run each; 50 packets a second each way."`
}

// Run measures the relay.
func (c *benchRelayCmd) Run(ctx context.Context, s streams) error {
	r, err := bench.Relay(ctx, c.config(), c.Calls)
	return c.show(s, r, err)
}

type benchTeeCmd struct {
	benchFlags

	Calls  int `default:"200" help:"Calls of 50 packets a second each way."`
	Rounds int `default:"3" help:"Runs of each share of tapped calls."`
}

// Run measures the relay with the tee, encoding and storing on a real bus.
func (c *benchTeeCmd) Run(ctx context.Context, s streams) error {
	r, err := bench.Tee(ctx, c.config(), c.Calls, max(1, c.Rounds))
	return c.show(s, r, err)
}

type benchSIPCmd struct {
	benchFlags

	Window int `default:"50" help:"Calls in the air."`
	Rounds int `default:"2" help:"Runs of each variant."`
}

// Run measures the proxy, without and with every call tapped.
func (c *benchSIPCmd) Run(ctx context.Context, s streams) error {
	r, err := bench.SIP(ctx, bench.SIPConfig{
		Config: c.config(), Window: c.Window, Rounds: max(1, c.Rounds),
		Relay: relayView,
	})
	return c.show(s, r, err)
}
