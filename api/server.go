package api

import (
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/api/admin"
	"github.com/ligate/ligate/api/auditor"
	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/auth/login"
	"github.com/ligate/ligate/api/handover"
	"github.com/ligate/ligate/api/hi1"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

// Config is what the API needs; fields without a default are required.
type Config struct {
	Version  string // of ligate, shown in the OpenAPI document
	People   auth.People
	SignIn   *login.Config         // passkeys, passwords, OIDC, sessions, machine tokens; nil = certificates only
	Metrics  prometheus.Registerer // nil = not shown
	Admin    admin.Config
	Handover handover.Config
	Auditor  auditor.Config
	HI1      *hi1.Config // electronic orders and their inbox; nil = not served
	Log      *slog.Logger
}

// maxBodyBytes bounds every request; each operation but those that take documents and
// electronic orders stops at huma's default of 1 MiB.
const maxBodyBytes = warrant.MaxDocument + 1<<10

// New returns the handler of the whole API.
func New(cfg Config) (http.Handler, error) {
	router := chi.NewRouter()
	router.Use(drain, headers, texts, recoverer(cfg.Log), middleware.RequestSize(maxBodyBytes))
	router.NotFound(noRoute(http.StatusNotFound, problem.NotFound))
	router.MethodNotAllowed(noRoute(http.StatusMethodNotAllowed, problem.Method))
	settings := huma.DefaultConfig("ligate", cfg.Version)
	settings.DocsPath = "" // the docs page would load scripts from outside
	settings.SchemasPath = ""
	settings.CreateHooks = nil // no $schema links in bodies
	settings.Transformers = append(settings.Transformers, problem.Typed)
	settings.Info.Description = "Lawful-interception mediation: warrants, handover, audit."
	router.Group(func(open chi.Router) {
		humachi.New(open, settings) // serves /openapi.json only
	})
	refusals, err := auth.NewRefusals(auth.RefusalsConfig{Log: cfg.Auditor.Log, OwnLog: cfg.Log, Metrics: cfg.Metrics})
	if err != nil {
		return nil, err
	}
	guard, err := newGuard(cfg, refusals)
	if err != nil {
		return nil, err
	}
	settings.OpenAPIPath = ""
	var api huma.API
	router.Group(func(guarded chi.Router) {
		guarded.Use(auth.Note, guard.Admit)
		api = humachi.New(guarded, settings)
		api.UseMiddleware(auth.Operation(api))
	})
	if cfg.SignIn != nil {
		router.Group(func(doors chi.Router) {
			doors.Use(auth.Note, auth.NewRateLimit(refusals, cfg.SignIn.Now).Limit, auth.OwnPages(cfg.SignIn.RP.Origin(), refusals))
			cfg.SignIn.Refusals = refusals
			login.Register(humachi.New(doors, settings), api, *cfg.SignIn)
		})
		cfg.Admin.Origin, cfg.Admin.Idle = cfg.SignIn.RP.Origin(), cfg.SignIn.Idle
	}
	if cfg.HI1 != nil {
		cfg.Admin.Inbox = &admin.Inbox{Store: cfg.HI1.Store, Order: hi1.OrderOf(cfg.HI1.Plan)}
		hi1.Register(api, *cfg.HI1)
	}
	admin.Register(api, cfg.Admin)
	handover.Register(api, cfg.Handover)
	auditor.Register(api, cfg.Auditor)
	return router, nil
}

func newGuard(cfg Config, refusals *auth.Refusals) (*auth.Guard, error) {
	g := auth.Config{People: cfg.People, Refusals: refusals, Log: cfg.Log}
	if cfg.SignIn != nil {
		if err := cfg.SignIn.Validate(); err != nil {
			return nil, err
		}
		g.Sessions, g.Origin, g.Idle, g.Now = cfg.SignIn.Store, cfg.SignIn.RP.Origin(), cfg.SignIn.Idle, cfg.SignIn.Now
	}
	return auth.New(g)
}
