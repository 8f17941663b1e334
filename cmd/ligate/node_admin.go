package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/api"
	"github.com/ligate/ligate/api/admin"
	"github.com/ligate/ligate/api/auditor"
	"github.com/ligate/ligate/api/handover"
	"github.com/ligate/ligate/api/hi1"
	"github.com/ligate/ligate/audit"
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
	store, err := n.openEvidence()
	if err != nil {
		return err
	}
	signIn, err := n.signIn()
	if err != nil {
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
			CheckKeys: func(keys []string) error { _, err := segment.ParseRecipients(keys); return err },
		},
		Handover: handover.Config{Warrants: n.db.warrants, Evidence: store},
		Auditor:  auditor.Config{Log: auditDB{log: n.db.log, pool: n.db.pool}},
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

func (n *node) buildADMF() (*admf.ADMF, error) {
	own, err := n.cfg.secrets().admf()
	if err != nil {
		return nil, err
	}
	var gateways []admf.Gateway
	for _, g := range n.cfg.Admin.Gateways {
		pin := g.Certificate
		if pin == "" { // the gateway of this deployment shares our secrets
			ne, err := n.cfg.secrets().ne(g.ID)
			if err != nil {
				return nil, err
			}
			pin = pki.Fingerprint(ne.Certificate[0])
		}
		client, err := x1.NewClient(x1.ClientConfig{
			URL: g.URL, ADMFID: admfID, NEID: g.ID,
			HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: pki.Client(own, pin)}},
		})
		if err != nil {
			return nil, err
		}
		gateways = append(gateways, admf.Gateway{ID: g.ID, Client: client})
	}
	tasker, err := admf.New(admf.Config{
		Store: n.db.warrants, Gateways: gateways, Log: n.log, ReconcileEvery: time.Duration(n.cfg.Admin.ReconcileEvery), OpsReg: n.ops, LIReg: n.li,
	})
	if err != nil {
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

// auditDB is the audit log on its database.
type auditDB struct {
	log  *audit.Log
	pool *pgxpool.Pool
}

// Record appends an entry in a transaction of its own.
func (a auditDB) Record(ctx context.Context, e audit.Entry) error {
	_, err := a.log.Record(ctx, a.pool, e)
	return err
}

// Entries lists entries.
func (a auditDB) Entries(ctx context.Context, f audit.Filter) ([]audit.Record, string, error) {
	return a.log.Entries(ctx, a.pool, f)
}

// Checkpoint signs the tree as it stands.
func (a auditDB) Checkpoint(ctx context.Context) ([]byte, error) {
	return a.log.Checkpoint(ctx, a.pool)
}

// InclusionProof proves that an entry is in a tree.
func (a auditDB) InclusionProof(ctx context.Context, index, size int64) ([]tlog.Hash, error) {
	return a.log.InclusionProof(ctx, a.pool, index, size)
}

// ConsistencyProof proves that a tree begins with an older one.
func (a auditDB) ConsistencyProof(ctx context.Context, older, newer int64) ([]tlog.Hash, error) {
	return a.log.ConsistencyProof(ctx, a.pool, older, newer)
}

// Export writes the whole log.
func (a auditDB) Export(ctx context.Context, w io.Writer) error { return a.log.Export(ctx, a.pool, w) }
