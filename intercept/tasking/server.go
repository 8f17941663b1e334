package tasking

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// ErrServerConfig says that a Server lacks what it needs.
var ErrServerConfig = errors.New("tasking: x1 server: want NEID, ADMFID and Tasks")

// ServerConfig is what a Server needs.
type ServerConfig struct {
	NEID   string                // required: our neIdentifier
	ADMFID string                // required: the one ADMF that may task us
	Tasks  taskSink              // required: the Index
	LIReg  prometheus.Registerer // LI figures; nil = none
}

// taskSink is what the Server needs of an Index. It is called by many goroutines.
type taskSink interface {
	Activate(task li.Task) error
	Deactivate(xid li.XID) error
	Tasks() []li.Task
}

// Server is the X1 server of this gateway (TS 103 221-1): POST /X1/NE. It belongs
// behind a TLS listener that demands client certificates; the identifier in each
// message is held against the certificate of its connection. It writes no log: a
// line a task would tell how many there are. It is safe for concurrent use.
type Server struct {
	http    http.Handler
	tasks   taskSink
	handled *prometheus.CounterVec
}

// NewServer makes a Server.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Tasks == nil {
		return nil, ErrServerConfig
	}
	s := &Server{tasks: cfg.Tasks, handled: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ligate_tasking_x1_messages_total", Help: "X1 messages answered, by kind and code (0 = done).",
	}, []string{"kind", "code"})}
	var err error
	s.http, err = x1.NewHandler(x1.HandlerConfig{
		Path:    x1.PathNE,
		ADMFID:  cfg.ADMFID,
		NEIDs:   []string{cfg.NEID},
		Peer:    func(h x1.Header) string { return x1.ADMFBinding(h.ADMF) },
		Handle:  s.handle,
		Counted: func(k x1.Kind, code int) { s.handled.WithLabelValues(k.String(), strconv.Itoa(code)).Inc() },
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

// handle answers one message of the right peer. Nil means unsupported.
func (s *Server) handle(_ context.Context, req x1.Request) x1.Answer {
	switch b := req.Body.(type) {
	case x1.ActivateTask:
		return s.done(b, s.tasks.Activate(b.Task), x1.CodeActivateFailed)
	case x1.DeactivateTask:
		return s.done(b, s.tasks.Deactivate(b.XID), x1.CodeDeactivateFailed)
	case x1.GetTaskDetails:
		for _, task := range s.tasks.Tasks() {
			if task.Signalling().XID == b.XID {
				return x1.TaskDetails{Task: task}
			}
		}
		return &x1.Error{Of: b.Kind(), Code: x1.CodeXIDUnknown}
	case x1.GetAllDetails:
		return x1.AllDetails{Tasks: s.tasks.Tasks()}
	case x1.Ping:
		return x1.OK{Of: b.Kind()}
	case x1.Keepalive:
		// An ADMF that hears OK relies on us to drop all tasks when it falls silent. We
		// do not: each task ends by its own clock.
		return &x1.Error{Of: b.Kind(), Code: x1.CodeNoKeepalive}
	}
	return nil
}

// done turns the index's error into the most specific code.
func (s *Server) done(b x1.Body, err error, otherwise int) x1.Answer {
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
