package tasking

import (
	"context"
	"time"

	"github.com/ligate/ligate/li/x1"
)

// Run is the keep-alive's fail-safe (TS 103 221-1 clause 6.6.2) until ctx ends, which is
// no error: an ADMF that was heard once and then is silent for half of Keepalive is told
// so, and after the whole of it every Task ends. Any message of the right peer counts.
// Without Keepalive it only waits.
func (s *Server) Run(ctx context.Context) error {
	if s.cfg.Keepalive == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(max(s.cfg.Keepalive/20, time.Millisecond))
	defer tick.Stop()
	var warned, dropped *time.Time // the last word that was followed by silence
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		last := s.heard.Load()
		if last == nil {
			continue
		}
		silent := time.Since(*last) // by the monotonic clock: none can be set
		if silent >= s.cfg.Keepalive/2 && warned != last {
			warned = last
			s.cfg.Tell(x1.ReportNEIssue{Issue: x1.NEFaultReport, Code: x1.CodeKeepaliveLost})
		}
		if silent >= s.cfg.Keepalive && dropped != last {
			dropped = last
			s.clear()
			s.cfg.Tell(x1.ReportNEIssue{Issue: x1.NEAlert, Code: x1.CodeDatabaseCleared})
		}
	}
}
