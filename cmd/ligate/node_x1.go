package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/ligate/ligate/intercept/tasking"
	"github.com/ligate/ligate/intercept/tee"
	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/warrant/admf"
)

// admfPin is the fingerprint of the ADMF that may task this gateway.
func (n *node) admfPin() (string, error) {
	if pin := n.cfg.Gateway.X1.Certificate; pin != "" {
		return pin, nil
	}
	admf, err := n.cfg.secrets().admf() // the ADMF of this deployment shares our secrets
	if err != nil {
		return "", err
	}
	return pki.Fingerprint(admf.Certificate[0]), nil
}

// reportsURL is where this gateway reports, empty = nowhere.
func (n *node) reportsURL() string {
	if n.cfg.Gateway.X1.ADMF == "" && n.has(roleAdmin) && n.cfg.Admin.X1.Listen != "" {
		return "https://" + n.cfg.Admin.X1.Listen + x1.PathADMF
	}
	return n.cfg.Gateway.X1.ADMF
}

// buildReports makes the way to the ADMF, nil without one. The first report says that
// this gateway has started: the ADMF gives it its Tasks at once.
func (n *node) buildReports() (*tasking.Reports, error) {
	url := n.reportsURL()
	if url == "" {
		return nil, nil //nolint:nilnil // nothing to report to is no error
	}
	own, err := n.cfg.secrets().ne(n.cfg.Gateway.ID)
	if err != nil {
		return nil, err
	}
	pin, err := n.admfPin()
	if err != nil {
		return nil, err
	}
	to, err := x1.NewReporter(x1.ClientConfig{
		URL: url, ADMFID: n.cfg.Gateway.X1.ADMFID, NEID: n.cfg.Gateway.ID,
		HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: pki.Client(own, pin)}},
	})
	if err != nil {
		return nil, err
	}
	reports, err := tasking.NewReports(tasking.ReportsConfig{To: to})
	if err != nil {
		return nil, err
	}
	reports.Tell(x1.ReportNEIssue{Issue: x1.NEAlert, Code: x1.CodeDatabaseCleared})
	n.add(part{name: "reports", run: reports.Run})
	return reports, nil
}

// buildX1 serves X1 to the one ADMF that may task this gateway.
func (n *node) buildX1(index *tasking.Index, copies *tee.Tee, reports *tasking.Reports) (*tasking.Server, error) {
	x := n.cfg.Gateway.X1
	cfg := tasking.ServerConfig{
		NEID: n.cfg.Gateway.ID, ADMFID: x.ADMFID, Tasks: index, LIReg: n.li, Copying: copies.Taps,
		Longest: time.Duration(x.Longest), Keepalive: time.Duration(x.Keepalive), Destinations: n.cfg.Gateway.Export.addresses(),
		Tell: func(x1.Body) {},
	}
	if reports != nil {
		cfg.Tell = reports.Tell
	}
	server, err := tasking.NewServer(cfg)
	if err != nil {
		return nil, err
	}
	own, err := n.cfg.secrets().ne(n.cfg.Gateway.ID)
	if err != nil {
		return nil, err
	}
	pin, err := n.admfPin()
	if err != nil {
		return nil, err
	}
	n.add(part{name: "x1 keep-alive", run: server.Run})
	return server, n.listen("x1", x.Listen, pki.Server(own, pin), server)
}

// addresses are where a destination of somebody else's ADMF may point.
func (e exportConfig) addresses() []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range []string{e.X2, e.X3} {
		if addr, err := x1.Address(s); err == nil {
			out = append(out, addr)
		}
	}
	return out
}

// awaitTasks lets a gateway that has just started take calls once it could tap them. An
// ADMF that is away holds calls up for no longer than the grace.
func (n *node) awaitTasks(ctx context.Context, filled <-chan struct{}, hold chan<- struct{}) {
	grace := time.NewTimer(time.Duration(*n.cfg.Gateway.X1.Grace))
	defer grace.Stop()
	select {
	case <-filled:
	case <-grace.C:
		n.log.WarnContext(ctx, "the ADMF has not come; taking calls all the same")
	case <-ctx.Done():
		return
	}
	close(hold)
}

// listenReports takes what gateways report, if there is a listener for it.
func (n *node) listenReports(a *admf.ADMF, prints []string) error {
	if n.cfg.Admin.X1.Listen == "" {
		return nil
	}
	handler, err := a.Reports(admfID)
	if err != nil {
		return err
	}
	own, err := n.cfg.secrets().admf()
	if err != nil {
		return err
	}
	n.log.Info("gateways report here", slog.String("listen", n.cfg.Admin.X1.Listen))
	return n.listen("x1 reports", n.cfg.Admin.X1.Listen, pki.Server(own, prints...), handler)
}

// element turns the config of a network element into what the ADMF must know.
func (g adminNodeConfig) element(client *x1.Client) (admf.Gateway, error) {
	e := admf.Gateway{ID: g.ID, Client: client, Foreign: g.Extension == extensionNone, Keepalive: time.Duration(g.Keepalive)}
	for _, d := range []struct {
		addr string
		kind x1.Delivery
	}{{g.Destinations.X2, x1.DeliverX2}, {g.Destinations.X3, x1.DeliverX3}} {
		if d.addr == "" {
			continue
		}
		addr, err := x1.Address(d.addr)
		if err != nil {
			return admf.Gateway{}, fmt.Errorf("element %s: %w", g.ID, err)
		}
		e.Destinations = append(e.Destinations, x1.Destination{DID: destinationID(g.ID, d.kind), Name: "ligate " + d.kind.String(), Delivery: d.kind, Addr: addr})
	}
	return e, nil
}

// destinationID is the same at each start, so that a destination is made once: a UUID
// of version 8 (RFC 9562) over the element and what goes there.
func destinationID(element string, kind x1.Delivery) x1.DID {
	sum := sha256.Sum256([]byte("ligate destination\x00" + element + "\x00" + kind.String()))
	var id x1.DID
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id
}
