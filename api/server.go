package api

import (
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/ligate/ligate/api/admin"
	"github.com/ligate/ligate/api/auditor"
	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/handover"
	"github.com/ligate/ligate/api/hi1"
)

// Config is what the API needs; all fields but HI1 are required.
type Config struct {
	Version  string // of ligate, shown in the OpenAPI document
	People   auth.People
	Admin    admin.Config
	Handover handover.Config
	Auditor  auditor.Config
	HI1      *hi1.Config // electronic orders and their inbox; nil = not served
	Log      *slog.Logger
}

const maxBodyBytes = 1 << 20

// New returns the handler of the whole API.
func New(cfg Config) (http.Handler, error) {
	router := chi.NewRouter()
	router.Use(headers, recoverer(cfg.Log), bodySize)
	router.NotFound(noRoute(http.StatusNotFound))
	router.MethodNotAllowed(noRoute(http.StatusMethodNotAllowed))
	settings := huma.DefaultConfig("ligate", cfg.Version)
	settings.DocsPath = "" // the docs page would load scripts from outside
	settings.SchemasPath = ""
	settings.CreateHooks = nil // no $schema links in bodies
	settings.Info.Description = "Lawful-interception mediation: warrants, handover, audit."
	router.Group(func(open chi.Router) {
		humachi.New(open, settings) // serves /openapi.json only
	})
	guard, err := auth.Middleware(cfg.People, cfg.Log)
	if err != nil {
		return nil, err
	}
	settings.OpenAPIPath = ""
	var api huma.API
	router.Group(func(guarded chi.Router) {
		guarded.Use(guard)
		api = humachi.New(guarded, settings)
	})
	if cfg.HI1 != nil {
		cfg.Admin.Inbox = &admin.Inbox{Store: cfg.HI1.Store, Order: hi1.OrderOf(cfg.HI1.Plan)}
		hi1.Register(api, *cfg.HI1)
	}
	admin.Register(api, cfg.Admin)
	handover.Register(api, cfg.Handover)
	auditor.Register(api, cfg.Auditor)
	return router, nil
}

// bodySize bounds what a request may send: an HI1 message holds scanned orders.
func bodySize(next http.Handler) http.Handler {
	usual, messages := middleware.RequestSize(maxBodyBytes)(next), middleware.RequestSize(hi1.MaxBodyBytes)(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == hi1.Path {
			messages.ServeHTTP(w, r)
			return
		}
		usual.ServeHTTP(w, r)
	})
}
