package auth

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

// People knows whose certificate is whose. A fingerprint is the lower-case
// hexadecimal SHA-256 of the DER certificate. Both methods return
// warrant.ErrNotFound for one that nobody confirmed holds.
type People interface {
	PersonByCert(ctx context.Context, fingerprint string) (warrant.Person, error)
	AgencyByCert(ctx context.Context, fingerprint string) (warrant.Agency, string, error)
}

const lookupTimeout = 5 * time.Second

// Middleware admits callers with a registered certificate and puts the Caller into
// the request's context. Everyone else gets 401.
func Middleware(people People, log *slog.Logger) (func(http.Handler) http.Handler, error) {
	if people == nil || log == nil {
		return nil, errors.New("auth: People and Log are required")
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller, err := identify(r, people)
			switch {
			case errors.Is(err, warrant.ErrNotFound):
				refuse(w, problem.New(http.StatusUnauthorized, problem.Unauthorised, "show the certificate that was registered for you"))
				return
			case err != nil:
				log.ErrorContext(r.Context(), "caller not identified", slog.Any("err", err))
				refuse(w, problem.New(http.StatusServiceUnavailable, problem.Unavailable, "try again later"))
				return
			}
			next.ServeHTTP(w, r.WithContext(With(r.Context(), caller)))
		})
	}, nil
}

func identify(r *http.Request, people People) (Caller, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return Caller{}, warrant.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookupTimeout)
	defer cancel()
	c := Caller{Cert: Fingerprint(r.TLS.PeerCertificates[0].Raw), Source: source(r)}
	person, err := people.PersonByCert(ctx, c.Cert)
	if err == nil {
		c.Person, c.Name, c.Role = person, person.Name, Role(person.Role.String())
		return c, nil
	}
	if !errors.Is(err, warrant.ErrNotFound) {
		return Caller{}, err
	}
	c.Agency, c.Name, err = people.AgencyByCert(ctx, c.Cert)
	c.Role = Agency
	return c, err
}

func source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

func refuse(w http.ResponseWriter, p *problem.Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client went away: nothing left to tell
}
