package auth

import (
	"context"
	"net/http"

	"github.com/ligate/ligate/api/problem"
)

// Client is from what a request comes: to this a session is bound.
type Client struct {
	Source    string
	AgentHash []byte
	Cert      string // fingerprint of the client certificate; empty = none
}

type clientKey struct{}

// ClientFrom returns what Note put into the context.
func ClientFrom(ctx context.Context) Client {
	c, _ := ctx.Value(clientKey{}).(Client)
	return c
}

// Note puts the Client into the request's context.
func Note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := Client{Source: Source(r), AgentHash: AgentHash(r), Cert: ShownCert(r)}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, c)))
	})
}

// OwnPages refuses what a browser sends from another site to the doors that need no
// session: nobody is signed in as somebody else behind their back. Who is no browser
// says nothing of where it comes from, and passes.
func OwnPages(origin string, refusals *Refusals) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			said := r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != ""
			if r.Method == http.MethodPost && said && !FromOwnPages(r, origin) {
				refusals.Refuse(r.Context(), Refused{Why: BadOrigin, Source: Source(r)})
				refuse(w, problem.New(http.StatusForbidden, problem.CrossSite, "this request came from another site"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
