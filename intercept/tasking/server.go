package tasking

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// ErrServerConfig says that a Server lacks what it needs.
var ErrServerConfig = errors.New("tasking: x1 server: want NEID, ADMFID and Tasks; Keepalive wants Tell")

// ServerConfig is what a Server needs.
type ServerConfig struct {
	NEID   string                // required: our neIdentifier
	ADMFID string                // required: the one ADMF that may task us
	Tasks  taskSink              // required: the Index
	LIReg  prometheus.Registerer // LI figures; nil = none

	// Copying lists the live taps under which calls are copied, as the one who copies
	// knows them; nil = nobody is asked.
	Copying func() []*Tap

	// For an ADMF that is not ours.
	Longest      time.Duration    // a Task without an end of its own ends after this; 0 = such a Task is refused
	Destinations []netip.AddrPort // where a destination may point: what we deliver to anyway

	// Keepalive is how long the ADMF may be silent before all Tasks are dropped, with a
	// warning after half of it (clause 6.6.2); 0 = each Task ends by its own clock only.
	Keepalive time.Duration
	Tell      func(x1.Body) // takes a report to the ADMF, must not block; required with Keepalive

	Now func() time.Time // default time.Now
}

// taskSink is what the Server needs of an Index. It is called by many goroutines.
type taskSink interface {
	Activate(task li.Task) error
	Replace(task li.Task) error
	Deactivate(xid li.XID) error
	Expel(tap *Tap)
	Clear()
	Tap(xid li.XID) *Tap
	Taps() []*Tap
	Shown() []*Tap
}

// Server is the X1 server of this gateway (TS 103 221-1): POST /X1/NE. It belongs
// behind a TLS listener that demands client certificates; the identifier in each
// message is held against the certificate of its connection. It writes no log: a
// line a task would tell how many there are. It is safe for concurrent use.
type Server struct {
	cfg     ServerConfig
	http    http.Handler
	tasks   taskSink
	handled *prometheus.CounterVec
	heard   atomic.Pointer[time.Time] // when the ADMF spoke last; nil = never

	mu     sync.Mutex                 // guards the rest, for map work only
	where  map[x1.DID]x1.Destination  // destinations of an ADMF that is not ours
	orders map[li.XID]x1.ActivateTask // what such an ADMF said beside the Task; kept while the Task lives
	asked  bool                       // the ADMF has seen what we tap
	filled chan struct{}              // closed once it has given us what it wants
	once   sync.Once
}

// NewServer makes a Server.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Tasks == nil || cfg.Keepalive > 0 && cfg.Tell == nil || cfg.Keepalive < 0 || cfg.Longest < 0 {
		return nil, ErrServerConfig
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		cfg: cfg, tasks: cfg.Tasks, where: map[x1.DID]x1.Destination{}, orders: map[li.XID]x1.ActivateTask{}, filled: make(chan struct{}),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ligate_tasking_x1_messages_total", Help: "X1 messages answered, by kind and code (0 = done).",
		}, []string{"kind", "code"}),
	}
	var err error
	s.http, err = x1.NewHandler(x1.HandlerConfig{
		Path:    x1.PathNE,
		ADMFID:  cfg.ADMFID,
		NEIDs:   []string{cfg.NEID},
		Peer:    func(h x1.Header) string { return x1.ADMFBinding(h.ADMF) },
		Handle:  s.handle,
		Counted: func(k x1.Kind, code int) { s.handled.WithLabelValues(k.String(), strconv.Itoa(code)).Inc() },
		Bare:    cfg.Longest > 0,
		Heard:   func() { now := time.Now(); s.heard.Store(&now) },
		Now:     cfg.Now,
	})
	if err != nil {
		return nil, ErrServerConfig
	}
	if cfg.LIReg != nil {
		if err := cfg.LIReg.Register(s.handled); err != nil {
			return nil, fmt.Errorf("tasking: register x1 metrics: %w", err)
		}
	}
	return s, nil
}

// ServeHTTP answers one X1 request container.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.ServeHTTP(w, r) }

// Filled is closed once the ADMF has looked at what we tap and said, by a Ping after
// it, that this is what it wants. A gateway that has just started takes no calls before.
func (s *Server) Filled() <-chan struct{} { return s.filled }

// handle answers one message of the right peer. Nil means unsupported.
func (s *Server) handle(_ context.Context, req x1.Request) x1.Answer {
	switch b := req.Body.(type) {
	case x1.ActivateTask:
		return s.activate(b, false)
	case x1.ModifyTask:
		return s.activate(x1.ActivateTask(b), true)
	case x1.DeactivateTask:
		return done(b, s.deactivate(b.XID), x1.CodeDeactivateFailed)
	case x1.DeactivateAllTasks:
		s.clear()
		return x1.OK{Of: b.Kind()}
	case x1.Ping:
		s.settle()
		return x1.OK{Of: b.Kind()}
	case x1.Keepalive:
		// An ADMF that hears OK relies on us to drop all tasks when it falls silent.
		if s.cfg.Keepalive == 0 {
			return &x1.Error{Of: b.Kind(), Code: x1.CodeNoKeepalive}
		}
		return x1.OK{Of: b.Kind()}
	case x1.CreateDestination, x1.ModifyDestination, x1.RemoveDestination, x1.RemoveAllDestinations:
		return s.changeDestination(b)
	}
	return s.show(req.Body)
}

// show answers what only asks.
func (s *Server) show(body x1.Body) x1.Answer {
	switch b := body.(type) {
	case x1.GetTaskDetails:
		if tap := s.tasks.Tap(b.XID); tap != nil {
			return s.details(tap, false)
		}
		return &x1.Error{Of: b.Kind(), Code: x1.CodeXIDUnknown}
	case x1.GetAllDetails:
		answer := x1.AllDetails{Tasks: s.all(), Destinations: s.destinations()}
		s.mu.Lock()
		s.asked = true
		s.mu.Unlock()
		return answer
	case x1.GetAllTaskDetails:
		return x1.AllTaskDetails{Tasks: s.all()}
	case x1.GetAllDestinationDetails:
		return x1.AllDestinationDetails{Destinations: s.destinations()}
	case x1.GetDestinationDetails:
		for _, d := range s.destinations() {
			if d.DID == b.DID {
				return d
			}
		}
		return &x1.Error{Of: b.Kind(), Code: x1.CodeDIDUnknown}
	case x1.GetNEStatus:
		return x1.NEStatus{}
	case x1.ListAllDetails:
		return s.identifiers()
	}
	return nil
}

// settle opens the gate if the ADMF has seen what we tap.
func (s *Server) settle() {
	s.mu.Lock()
	asked := s.asked
	s.mu.Unlock()
	if asked {
		s.once.Do(func() { close(s.filled) })
	}
}

// done turns the index's error into the most specific code.
func done(b x1.Body, err error, otherwise int) x1.Answer {
	switch {
	case err == nil:
		return x1.OK{Of: b.Kind()}
	case errors.Is(err, ErrExists):
		return &x1.Error{Of: b.Kind(), Code: x1.CodeXIDExists}
	case errors.Is(err, ErrUnknown):
		return &x1.Error{Of: b.Kind(), Code: x1.CodeXIDUnknown}
	}
	return &x1.Error{Of: b.Kind(), Code: otherwise}
}
