package media

import (
	"errors"
	"sync"
	"time"
)

// ErrNoPorts says that the port range is used up.
var ErrNoPorts = errors.New("media: no free ports: widen gateway.media.ports")

// PortRange is UDP ports, both ends included. RTP takes even ports, RTCP the next.
type PortRange struct{ Min, Max int }

// ports hands out even ports in turn, so that one that was given back rests long.
type ports struct {
	mu    sync.Mutex // guards the fields; held for queue work only
	free  []int      // oldest first
	rest  []resting  // oldest first
	quiet time.Duration
	now   func() time.Time
	total int
}

type resting struct {
	port int
	till time.Time
}

func newPorts(r PortRange, quiet time.Duration) *ports {
	p := &ports{quiet: quiet, now: time.Now}
	for port := r.Min + r.Min%2; port+1 <= r.Max; port += 2 {
		p.free = append(p.free, port)
	}
	p.total = len(p.free)
	return p
}

func (p *ports) take() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for len(p.rest) > 0 && !now.Before(p.rest[0].till) {
		p.free = append(p.free, p.rest[0].port)
		p.rest = p.rest[1:]
	}
	if len(p.free) == 0 {
		return 0, ErrNoPorts
	}
	port := p.free[0]
	p.free = p.free[1:]
	return port, nil
}

func (p *ports) give(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, resting{port: port, till: p.now().Add(p.quiet)})
}

// used counts the pairs that are neither free nor resting.
func (p *ports) used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total - len(p.free) - len(p.rest)
}
