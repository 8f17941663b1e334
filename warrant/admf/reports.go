package admf

import (
	"context"
	"net/http"

	"github.com/ligate/ligate/li/x1"
)

// Reports is the handler of POST /X1/ADMF, to which gateways report what became of
// their Tasks. It belongs behind a TLS listener that demands client certificates;
// the neIdentifier in each message is held against the certificate. A report is a
// reason to compare at once and nothing more: what counts is what the gateway says
// when it is asked.
func (a *ADMF) Reports(admfID string) (http.Handler, error) {
	byID := make(map[string]*worker, len(a.workers))
	ids := make([]string, 0, len(a.workers))
	for _, w := range a.workers {
		byID[w.id] = w
		ids = append(ids, w.id)
	}
	return x1.NewHandler(x1.HandlerConfig{
		Path:   x1.PathADMF,
		ADMFID: admfID,
		NEIDs:  ids,
		Peer:   func(h x1.Header) string { return x1.NEBinding(h.NE) },
		Handle: func(_ context.Context, req x1.Request) x1.Answer {
			switch req.Body.(type) {
			case x1.ReportTaskIssue, x1.ReportDestinationIssue, x1.ReportNEIssue:
				nudge(byID[req.NE].probe)
			case x1.Ping:
			default:
				return nil
			}
			return x1.OK{Of: req.Body.Kind()}
		},
		Counted: func(x1.Kind, int) {},
	})
}
