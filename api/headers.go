package api

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ligate/ligate/api/problem"
)

// headers sets what every answer carries: nothing of ours is cached, framed or
// sniffed.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// texts refuses an address with what is no text: no identifier of ours holds it, and the
// database refuses it.
func texts(next http.Handler) http.Handler {
	text := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.QueryUnescape(r.URL.RawQuery)
		if err != nil || !text(r.URL.Path) || !text(query) {
			send(w, problem.New(http.StatusBadRequest, problem.BadRequest, "the address holds what is no text: send UTF-8 without NUL"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

const (
	drainBytes = 4 << 20
	drainTime  = 10 * time.Second
)

// drain reads what a handler left of a body: who still sends would otherwise see the
// connection break instead of the refusal.
func drain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		next.ServeHTTP(w, r)
		if http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)) == nil {
			_, _ = io.CopyN(io.Discard, body, drainBytes) // all of it, or enough
		}
	})
}

// noRoute answers what no operation stands behind.
func noRoute(status int, kind problem.Type) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		send(w, problem.New(status, kind, "no such operation: see /openapi.json"))
	}
}

func send(w http.ResponseWriter, p *problem.Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client went away: nothing left to tell
}

// recoverer answers a panic with 500 and logs that it happened, without the
// panic's text: it may quote what the request held.
func recoverer(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				switch v := recover(); v {
				case nil:
				case http.ErrAbortHandler:
					panic(v)
				default:
					log.ErrorContext(r.Context(), "request handler panicked")
					send(w, problem.New(http.StatusInternalServerError, problem.Internal, ""))
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}
