// Package ops serves what operations staff see of a running process: /metrics,
// /healthz and /readyz over plain HTTP, and /metrics/li over TLS for the
// certificates of LI staff.
//
// Invariant: nothing on the plain listener depends on warrants. Even the number of
// taps is secret, so figures that could betray it live on the LI registry only.
package ops

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	headerTimeout = 5 * time.Second
	stopTimeout   = 3 * time.Second
)

// Config is what a Server needs.
type Config struct {
	Listen string              // plain HTTP; empty = none
	Ops    prometheus.Gatherer // required with Listen
	Ready  func() error        // nil error once the process serves; required with Listen
	LI     LIConfig            // the LI listener
	Log    *slog.Logger        // required
}

// LIConfig is the listener for LI staff.
type LIConfig struct {
	Listen string              // HTTPS; empty = none
	TLS    *tls.Config         // demands one of the LI staff's certificates
	Gather prometheus.Gatherer // figures that depend on warrants
}

// Server serves until its Run ends.
type Server struct {
	cfg   Config
	plain net.Listener // nil = none
	li    net.Listener // nil = none
}

// New binds the listeners.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg}
	var err error
	if cfg.Listen != "" {
		if s.plain, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("bind metrics: %w", err)
		}
	}
	if cfg.LI.Listen != "" {
		if s.li, err = net.Listen("tcp", cfg.LI.Listen); err != nil {
			s.close()
			return nil, fmt.Errorf("bind LI metrics: %w", err)
		}
	}
	return s, nil
}

func (s *Server) close() {
	if s.plain != nil {
		_ = s.plain.Close()
	}
}

// Addrs returns where the plain and the LI listener are; empty = none.
func (s *Server) Addrs() (plain, li string) {
	if s.plain != nil {
		plain = s.plain.Addr().String()
	}
	if s.li != nil {
		li = s.li.Addr().String()
	}
	return plain, li
}

// Run serves until ctx ends, which is no error.
func (s *Server) Run(ctx context.Context) error {
	var servers []*http.Server
	errs := make(chan error, 2)
	serve := func(l net.Listener, h http.Handler) {
		srv := &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug)}
		servers = append(servers, srv)
		go func() { errs <- srv.Serve(l) }()
	}
	if s.plain != nil {
		serve(s.plain, s.plainHandler())
	}
	if s.li != nil {
		serve(tls.NewListener(s.li, s.cfg.LI.TLS), s.liHandler())
	}
	var err error
	if len(servers) == 0 {
		<-ctx.Done()
		return nil
	}
	select {
	case <-ctx.Done():
	case err = <-errs:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, srv := range servers {
		err = errors.Join(err, srv.Shutdown(stop))
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Server) plainHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.cfg.Ops, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.cfg.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	return mux
}

func (s *Server) liHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics/li", promhttp.HandlerFor(s.cfg.LI.Gather, promhttp.HandlerOpts{}))
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
