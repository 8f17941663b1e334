package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
)

// rtpengine is Debian's media relay in user space, with one thread, and a socket
// that takes the copies of tapped calls.
type rtpengine struct {
	daemon *daemon
	ng     ng
	sink   *net.UDPConn
	copies atomic.Int64
	ended  chan struct{}
}

// startRTPEngine runs it on loopback.
func startRTPEngine(ctx context.Context, pin string) (r *rtpengine, err error) {
	control, err := freePort()
	if err != nil {
		return nil, err
	}
	d, err := startDaemon(ctx, pin, peerRTPEngine(), []string{
		"--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
		"--interface=127.0.0.1", "--listen-ng=" + control.String(),
		"--port-min=" + strconv.Itoa(minPort), "--port-max=" + strconv.Itoa(maxPort),
		"--num-threads=1", "--timeout=3600", "--silent-timeout=3600",
	})
	if err != nil {
		return nil, err
	}
	r = &rtpengine{daemon: d, ended: make(chan struct{})}
	var errSink, errDial error
	r.sink, _, errSink = listen("127.0.0.1", sipBuffer)
	r.ng.conn, errDial = dial(control)
	if err := errors.Join(errSink, errDial); err != nil {
		close(r.ended)
		return nil, errors.Join(err, r.close())
	}
	go r.count()
	if err := d.ready(ctx, r.ping); err != nil {
		return nil, errors.Join(fmt.Errorf("run rtpengine: %w", err), r.close())
	}
	return r, nil
}

func (r *rtpengine) ping() error {
	_, err := r.ng.do(map[string]any{"command": "ping"})
	return err
}

// count counts copies until the socket is closed.
func (r *rtpengine) count() {
	defer close(r.ended)
	buf := make([]byte, 2*rtpBytes)
	for {
		n, _, err := r.sink.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n == rtpBytes {
			r.copies.Add(1)
		}
	}
}

func (r *rtpengine) group() int { return r.daemon.group() }

// anchor sets up a call for each of the load's and subscribes to the first of them.
func (r *rtpengine) anchor(load addresses, tapped int) (anchors addresses, err error) {
	for i := range load.Access {
		id := "bench-" + strconv.Itoa(i)
		trunk, err := r.describe(map[string]any{"command": "offer", "call-id": id, "from-tag": "a"}, load.Access[i])
		if err != nil {
			return anchors, err
		}
		access, err := r.describe(map[string]any{"command": "answer", "call-id": id, "from-tag": "a", "to-tag": "b"}, load.Trunk[i])
		if err != nil {
			return anchors, err
		}
		anchors.Access, anchors.Trunk = append(anchors.Access, access), append(anchors.Trunk, trunk)
		if i < tapped {
			if err := r.subscribe(id); err != nil {
				return anchors, err
			}
		}
	}
	return anchors, nil
}

// describe offers or answers a party's address and returns where the other one
// sends.
func (r *rtpengine) describe(command map[string]any, party netip.AddrPort) (anchor netip.AddrPort, err error) {
	command["sdp"] = describe(party)
	command["ICE"] = "remove"
	command["replace"] = []string{"origin", "session-connection"}
	command["transport-protocol"] = "RTP/AVP"
	answer, err := r.ng.do(command)
	if err != nil {
		return anchor, err
	}
	sdp, _ := answer["sdp"].(string)
	port, err := mediaPort(sdp)
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), err
}

// subscribe has copies of all streams of a call sent to the sink.
func (r *rtpengine) subscribe(id string) error {
	offer, err := r.ng.do(map[string]any{"command": "subscribe request", "call-id": id, "flags": []string{"all"}})
	if err != nil {
		return err
	}
	sdp, _ := offer["sdp"].(string)
	sink := r.sink.LocalAddr().(*net.UDPAddr).AddrPort()
	_, err = r.ng.do(map[string]any{
		"command": "subscribe answer", "call-id": id, "to-tag": offer["to-tag"],
		"sdp": describeSink(sink, strings.Count(sdp, "m=audio ")),
	})
	return err
}

func (r *rtpengine) settled(context.Context) (copies, error) {
	return copies{stored: float64(r.copies.Load())}, nil
}

func (r *rtpengine) close() error {
	r.daemon.stop()
	var err error
	if r.sink != nil {
		err = r.sink.Close()
	}
	<-r.ended
	if r.ng.conn != nil {
		err = errors.Join(err, r.ng.conn.Close())
	}
	return err
}
