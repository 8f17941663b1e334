package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ligate/ligate/intercept/sipproxy"
)

// gatewayOrder is what the parent asks of the gateway process; one JSON object.
type gatewayOrder struct {
	Kind   string        `json:"kind"`   // "relay" or "sip"
	Load   addresses     `json:"load"`   // the load's sockets
	Tapped int           `json:"tapped"` // relay: calls
	T1     time.Duration `json:"t1"`     // sip: of the timers
}

// gatewayAsk is a later request.
type gatewayAsk struct {
	Collect bool `json:"collect"` // return unused memory to the kernel
}

// gatewayCopies is the answer to it, given once the tee has stored what it holds.
type gatewayCopies struct {
	Stored  float64 `json:"stored"`
	Dropped float64 `json:"dropped"`
}

// Gateway is the gateway as a process of its own, so that it can be measured as
// other programs are. It takes its orders from in, answers on out and ends with in.
func Gateway(ctx context.Context, in io.Reader, out io.Writer, view RelayView) (err error) {
	dec, enc := json.NewDecoder(in), json.NewEncoder(out)
	var o gatewayOrder
	if err := dec.Decode(&o); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	raiseFiles()
	g, err := newGateway(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	to, stop, err := g.obey(ctx, view, o)
	if err != nil {
		return err
	}
	defer stop()
	if err := enc.Encode(to); err != nil {
		return fmt.Errorf("say where to send: %w", err)
	}
	return g.answer(ctx, dec, enc)
}

// filesWanted is enough for the calls of all ports, four sockets each.
const filesWanted = maxPort

// raiseFiles allows this process more open files, if it may: where the limit is low,
// only root does. It returns the limit.
func raiseFiles() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	if l.Max < filesWanted && unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: filesWanted, Max: filesWanted}) == nil {
		return filesWanted
	}
	return l.Max
}

// obey opens what an order asks for.
func (g *gateway) obey(ctx context.Context, view RelayView, o gatewayOrder) (to addresses, stop func(), err error) {
	switch o.Kind {
	case "relay":
		to, err = g.anchor(o.Load, o.Tapped)
		return to, func() {}, err
	case "sip":
		if len(o.Load.Access) != 1 || len(o.Load.Trunk) != 1 {
			return to, nil, errors.New("want one address a side")
		}
		return g.serve(ctx, view, o.Load, sipproxy.Timers{T1: o.T1, T4: t4(o.T1)})
	}
	return to, nil, errors.New("unknown order")
}

// t4 keeps the standard's proportion of T4 to T1.
func t4(t1 time.Duration) time.Duration { return 10 * t1 }

// answer serves the later requests until there are no more.
func (g *gateway) answer(ctx context.Context, dec *json.Decoder, enc *json.Encoder) error {
	for {
		var ask gatewayAsk
		if err := dec.Decode(&ask); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read request: %w", err)
		}
		n, err := g.settled(ctx)
		if err != nil {
			return err
		}
		if ask.Collect {
			debug.FreeOSMemory()
		}
		if err := enc.Encode(gatewayCopies{Stored: n.stored, Dropped: n.dropped}); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

// ours is the gateway process as its parent sees it.
type ours struct{ child *child }

func startOurs(ctx context.Context, pin string, args []string) (*ours, error) {
	c, err := startChild(ctx, pin, args)
	if err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	return &ours{c}, nil
}

func (o *ours) group() int { return o.child.group() }

func (o *ours) anchor(load addresses, tapped int) (to addresses, err error) {
	return o.order(gatewayOrder{Kind: "relay", Load: load, Tapped: tapped})
}

func (o *ours) order(order gatewayOrder) (to addresses, err error) {
	if err := o.child.ask(order, &to); err != nil {
		return to, fmt.Errorf("order gateway: %w", err)
	}
	return to, nil
}

func (o *ours) settled(context.Context) (copies, error) {
	var n gatewayCopies
	if err := o.child.ask(gatewayAsk{}, &n); err != nil {
		return copies{}, fmt.Errorf("ask gateway: %w", err)
	}
	return copies{stored: n.Stored, dropped: n.Dropped}, nil
}

// collect makes the gateway return the memory that it does not use.
func (o *ours) collect() error {
	if err := o.child.ask(gatewayAsk{Collect: true}, &gatewayCopies{}); err != nil {
		return fmt.Errorf("ask gateway: %w", err)
	}
	return nil
}

// close ends the process by ending its input, so that it removes its folder.
func (o *ours) close() error {
	kill := time.AfterFunc(stopLimit, func() { _ = o.child.cmd.Process.Kill() })
	defer kill.Stop()
	if err := o.child.end(); err != nil {
		return fmt.Errorf("end gateway: %w", err)
	}
	return nil
}
