package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/ligate/ligate/api"
	"github.com/ligate/ligate/api/admin"
	"github.com/ligate/ligate/api/auditor"
	"github.com/ligate/ligate/api/handover"
	"github.com/ligate/ligate/api/hi1"
	"github.com/ligate/ligate/audit/review"
	"github.com/ligate/ligate/internal/pki"
	lihi1 "github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/li/x1"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant/admf"
	"github.com/ligate/ligate/warrant/pgstore"
)

// version of ligate, shown in the API's document.
const version = "0.1.0-dev"

// buildAdmin makes the ADMF and the API.
func (n *node) buildAdmin() error {
	tasker, err := n.buildADMF()
	if err != nil {
		return err
	}
	if err := n.buildAlarms(); err != nil {
		return err
	}
	store, err := n.openEvidence()
	if err != nil {
		return err
	}
	signIn, err := n.signIn()
	if err != nil {
		return err
	}
	reviews, err := review.New(review.Config{Pool: n.db.pool, Log: n.db.log})
	if err != nil {
		return err
	}
	if err := n.buildWitnessing(); err != nil {
		return err
	}
	orders, err := n.openHI1()
	if err != nil {
		return err
	}
	handler, err := api.New(api.Config{
		Version: version, People: n.db.warrants, Log: n.log, HI1: orders, SignIn: signIn, Metrics: n.ops,
		Admin: admin.Config{
			Store: n.db.warrants, Plan: n.cfg.plan(), Changed: tasker.Nudge, PurgeLIID: store.Purge, Records: store,
			Gateways:  func() []admin.GatewayView { return gatewayViews(tasker) },
			Reconcile: func(ctx context.Context) ([]admin.FindingView, error) { return reconcile(ctx, tasker) },
			CheckKeys: func(keys []string) error { _, err := segment.ParseRecipients(keys); return err },
		},
		Handover: handover.Config{Warrants: n.db.warrants, Evidence: store, Log: n.db.log.On(n.db.pool)},
		Auditor:  auditor.Config{Log: n.db.log.On(n.db.pool), Review: reviews},
	})
	if err != nil {
		return err
	}
	cert, err := n.cfg.secrets().api(n.cfg.Admin.Names)
	if err != nil {
		return err
	}
	if signIn != nil {
		return n.listen("api", n.cfg.Admin.Listen, pki.ServerAsking(cert), handler)
	}
	return n.listen("api", n.cfg.Admin.Listen, pki.Server(cert), handler)
}

// openHI1 gives what takes agencies' electronic orders; nil where the operator takes
// none.
func (n *node) openHI1() (*hi1.Config, error) {
	if !n.cfg.Admin.HI1 {
		return nil, nil // nil is how api.Config says that it is not served
	}
	key, err := n.cfg.secrets().hi1Key()
	if err != nil {
		return nil, err
	}
	store, err := pgstore.NewHI1(pgstore.HI1Config{Store: n.db.warrants, Key: key})
	if err != nil {
		return nil, err
	}
	us := lihi1.Endpoint{Country: lihi1.Country(n.cfg.Operator.Country), ID: n.cfg.Operator.ID}
	return &hi1.Config{Store: store, Plan: n.cfg.plan(), Endpoint: us}, nil
}

func gatewayViews(a *admf.ADMF) []admin.GatewayView {
	all := a.Gateways()
	views := make([]admin.GatewayView, len(all))
	for i, g := range all {
		views[i] = admin.GatewayView{ID: g.ID, Up: g.Up, Since: g.Since}
	}
	return views
}

const reconcileTimeout = 30 * time.Second

func reconcile(ctx context.Context, a *admf.ADMF) ([]admin.FindingView, error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	found, err := a.Reconcile(ctx)
	views := make([]admin.FindingView, len(found))
	for i, f := range found {
		views[i] = admin.FindingView(f)
	}
	return views, err
}

func (n *node) buildADMF() (*admf.ADMF, error) {
	own, err := n.cfg.secrets().admf()
	if err != nil {
		return nil, err
	}
	var gateways []admf.Gateway
	var prints []string
	for _, g := range n.cfg.Admin.Gateways {
		pin := g.Certificate
		if pin == "" { // the gateway of this deployment shares our secrets
			ne, err := n.cfg.secrets().ne(g.ID)
			if err != nil {
				return nil, err
			}
			pin = pki.Fingerprint(ne.Certificate[0])
		}
		secured := pki.Client(own, pin)
		if g.Extension == extensionNone {
			secured.MinVersion = tls.VersionTLS12 // TS 103 221-1 allows it, and older elements have no other
		}
		client, err := x1.NewClient(x1.ClientConfig{
			URL: g.URL, ADMFID: admfID, NEID: g.ID,
			HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: secured}},
		})
		if err != nil {
			return nil, err
		}
		element, err := g.element(client)
		if err != nil {
			return nil, err
		}
		gateways, prints = append(gateways, element), append(prints, pin)
	}
	hashKey, err := n.cfg.secrets().tapKey()
	if err != nil {
		return nil, err
	}
	tasker, err := admf.New(admf.Config{
		Store: n.db.warrants, Gateways: gateways, Log: n.log, ReconcileEvery: time.Duration(n.cfg.Admin.ReconcileEvery), OpsReg: n.ops, LIReg: n.li,
		HashKey: hashKey,
	})
	if err != nil {
		return nil, err
	}
	if err := n.listenReports(tasker, prints); err != nil {
		return nil, err
	}
	n.add(part{name: "admf", run: tasker.Run})
	n.add(part{name: "notices", run: func(ctx context.Context) error { return n.hear(ctx, tasker.Nudge) }})
	return tasker, nil
}

const listenAgain = time.Second

// hear passes the database's notices on. Without them the ADMF still looks by
// itself, so a lost connection is only made anew.
func (n *node) hear(ctx context.Context, nudge func()) error {
	for ctx.Err() == nil {
		if err := n.db.warrants.Listen(ctx, nudge); err != nil {
			n.log.WarnContext(ctx, "database notices lost; listening again", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
	return nil
}

const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 5 * time.Second
)

// listen adds an HTTPS server as a part. The socket is bound at once, so that a
// taken address is an error of the start.
func (n *node) listen(name, addr string, cfg *tls.Config, h http.Handler) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("bind %s: %w", name, err)
	}
	cfg.NextProtos = []string{"h2", "http/1.1"}
	srv := &http.Server{
		Handler: h, TLSConfig: cfg, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
	n.add(part{name: name, run: func(ctx context.Context) error {
		failed := make(chan error, 1)
		go func() { failed <- srv.ServeTLS(l, "", "") }()
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := srv.Shutdown(stop); err != nil {
			return errors.Join(err, srv.Close())
		}
		return nil
	}})
	n.log.Info("listening", slog.String("component", name), slog.String("listen", l.Addr().String()))
	return nil
}
