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
	"github.com/ligate/ligate/warrant"
)

// Config is what the API needs; all fields are required.
type Config struct {
	Version  string // of ligate, shown in the OpenAPI document
	People   auth.People
	Admin    admin.Config
	Handover handover.Config
	Auditor  auditor.Config
	Log      *slog.Logger
}

// maxBodyBytes bounds every request; each operation but the one that takes documents
// stops at huma's default of 1 MiB.
const maxBodyBytes = warrant.MaxDocument + 1<<10

// New returns the handler of the whole API.
func New(cfg Config) (http.Handler, error) {
	router := chi.NewRouter()
	router.Use(headers, recoverer(cfg.Log), middleware.RequestSize(maxBodyBytes))
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
	admin.Register(api, cfg.Admin)
	handover.Register(api, cfg.Handover)
	auditor.Register(api, cfg.Auditor)
	return router, nil
}
