package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

// People knows whose certificate is whose. A fingerprint is the lower-case
// hexadecimal SHA-256 of the DER certificate. Both methods return
// warrant.ErrNotFound for one that nobody holds who may sign in now.
type People interface {
	PersonByCert(ctx context.Context, fingerprint string) (warrant.Person, error)
	AgencyByCert(ctx context.Context, fingerprint string) (warrant.Agency, string, error)
}

// Sessions knows what else proves staff. Lookups return warrant.ErrNotFound for what
// does not count now.
type Sessions interface {
	SessionByToken(ctx context.Context, hash []byte, idle time.Duration) (signin.Session, error)
	ActivePerson(ctx context.Context, id warrant.PersonID) (warrant.Person, error)
	BreakSession(ctx context.Context, s signin.Session, source string) error
	MachineTokenByHash(ctx context.Context, hash []byte) (signin.MachineToken, error)
}

// Config is what a Guard needs.
type Config struct {
	People   People // required
	Sessions Sessions
	Refusals *Refusals     // required
	Log      *slog.Logger  // required
	Origin   string        // of our pages, such as https://li.example.net; required with Sessions
	Idle     time.Duration // a session ends after so long without a request; default 15m
	Now      func() time.Time
}

// Guard admits callers.
type Guard struct{ cfg Config }

// CookieName is the session's cookie. Its prefix makes browsers refuse one that is
// not Secure, or that another host set.
const CookieName = "__Host-ligate"

const lookupTimeout = 5 * time.Second

// New validates the configuration.
func New(cfg Config) (*Guard, error) {
	if cfg.People == nil || cfg.Log == nil || cfg.Refusals == nil {
		return nil, errors.New("auth: People, Refusals and Log are required")
	}
	if cfg.Sessions != nil && cfg.Origin == "" {
		return nil, errors.New("auth: sessions need the Origin of our pages")
	}
	if cfg.Idle == 0 {
		cfg.Idle = signin.DefaultIdle
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Guard{cfg: cfg}, nil
}

// Admit puts the Caller into the request's context. Everyone else gets 401.
func (g *Guard) Admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := g.identify(r)
		var p *problem.Problem
		switch {
		case errors.As(err, &p):
			refuse(w, p)
			return
		case errors.Is(err, warrant.ErrNotFound):
			g.cfg.Refusals.Refuse(r.Context(), Refused{Why: NoProof, Source: Source(r)})
			refuse(w, problem.New(http.StatusUnauthorized, problem.Unauthorised, "sign in, or show the certificate that was registered for you"))
			return
		case err != nil:
			g.cfg.Log.ErrorContext(r.Context(), "caller not identified", slog.Any("err", err))
			refuse(w, problem.New(http.StatusServiceUnavailable, problem.Unavailable, "try again later"))
			return
		}
		caller.at = g.cfg.Now()
		caller.refused, caller.counted = g.once(caller)
		next.ServeHTTP(w, r.WithContext(With(r.Context(), caller)))
	})
}

// once makes what refuses the caller and what counts a refusal of the domain, which
// has recorded it by itself. A request is counted once.
func (g *Guard) once(c Caller) (refused func(context.Context, Reason, string), counted func()) {
	said := false
	refused = func(ctx context.Context, why Reason, object string) {
		said = true
		g.cfg.Refusals.Refuse(ctx, Refused{Why: why, Who: c.Actor(), Role: string(c.Role), Object: object, Source: c.Source})
	}
	return refused, func() {
		if !said {
			g.cfg.Refusals.count(BadAct)
		}
	}
}

func (g *Guard) identify(r *http.Request) (Caller, error) {
	ctx, cancel := context.WithTimeout(r.Context(), lookupTimeout)
	defer cancel()
	c := Caller{Source: Source(r), Cert: ShownCert(r)}
	if g.cfg.Sessions != nil {
		token, ok := bearer(r)
		if ok && signin.IsMachine(token) {
			return g.machine(ctx, c, token)
		}
		if ok {
			return g.session(ctx, r, c, token)
		}
		if cookie, err := r.Cookie(CookieName); err == nil {
			if !g.sameOrigin(r) {
				g.cfg.Refusals.Refuse(ctx, Refused{Why: BadOrigin, Source: c.Source})
				return c, problem.New(http.StatusForbidden, problem.CrossSite, "this request came from another site")
			}
			return g.session(ctx, r, c, cookie.Value)
		}
	}
	return g.certificate(ctx, c)
}

func (g *Guard) certificate(ctx context.Context, c Caller) (Caller, error) {
	if c.Cert == "" {
		return Caller{}, warrant.ErrNotFound
	}
	person, err := g.cfg.People.PersonByCert(ctx, c.Cert)
	if err == nil {
		c.Person, c.Name, c.Role = person, person.Name, Role(person.Role.String())
		return c, nil
	}
	if !errors.Is(err, warrant.ErrNotFound) {
		return Caller{}, err
	}
	c.Agency, c.Name, err = g.cfg.People.AgencyByCert(ctx, c.Cert)
	c.Role = Agency
	return c, err
}

func (g *Guard) machine(ctx context.Context, c Caller, token string) (Caller, error) {
	t, err := g.cfg.Sessions.MachineTokenByHash(ctx, signin.Hash(token))
	if err != nil {
		return Caller{}, err
	}
	c.Person, c.Name, c.Role, c.Scope = t.Actor(), t.Name, Role(t.Role.String()), t.Operations
	return c, nil
}

// session admits by a session's token, if it comes from where it was opened. A
// token that does not was taken: its session ends.
func (g *Guard) session(ctx context.Context, r *http.Request, c Caller, token string) (Caller, error) {
	s, err := g.cfg.Sessions.SessionByToken(ctx, signin.Hash(token), g.cfg.Idle)
	if err != nil {
		return Caller{}, err
	}
	if !bytes.Equal(s.AgentHash, AgentHash(r)) || s.Cert != "" && s.Cert != c.Cert {
		g.cfg.Refusals.Refuse(ctx, Refused{Why: BadBinding, Who: string(s.PersonID), Source: c.Source})
		if err := g.cfg.Sessions.BreakSession(ctx, s, c.Source); err != nil {
			return Caller{}, err
		}
		return Caller{}, warrant.ErrNotFound
	}
	person, err := g.cfg.Sessions.ActivePerson(ctx, s.PersonID)
	if err != nil {
		return Caller{}, err
	}
	c.Person, c.Name, c.Role = person, person.Name, Role(person.Role.String())
	c.SessionID, c.SecondFactorAt = s.ID, s.SecondFactorAt
	return c, nil
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, ok && strings.EqualFold(scheme, "Bearer")
}

// sameOrigin holds a request that changes something and carries a cookie against
// forgery from another site: browsers say where it comes from.
func (g *Guard) sameOrigin(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return FromOwnPages(r, g.cfg.Origin)
}

// FromOwnPages reports whether a browser says that the request comes from a page of
// origin.
func FromOwnPages(r *http.Request, origin string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return r.Header.Get("Origin") == origin
}

// AgentHash is the SHA-256 of the User-Agent, to which sessions are bound.
func AgentHash(r *http.Request) []byte {
	sum := sha256.Sum256([]byte(r.UserAgent()))
	return sum[:]
}

// ShownCert is the fingerprint of the client certificate; empty = none was shown.
func ShownCert(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	return Fingerprint(r.TLS.PeerCertificates[0].Raw)
}

// Source is the caller's network address.
func Source(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// asksFresh tells the operations that ask for a second factor not older than
// FreshFor: all that approve or purge, by their ids, and who tells a name or takes a
// record away.
func asksFresh(operation string) bool {
	return strings.HasPrefix(operation, "approve-") || strings.HasPrefix(operation, "purge-") || operation == "confirm-unmask" || operation == "confirm-erasure"
}

// Operation holds what each operation asks of every caller: that a machine token
// names it, and a fresh second factor where law is made or evidence destroyed. It
// comes before the operations are registered.
func Operation(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		c := From(hc.Context())
		c.op = hc.Operation().OperationID
		ctx := With(hc.Context(), c)
		if c.Scope != nil && (!slices.Contains(c.Scope, c.op) || !signin.Reads(c.op)) {
			c.refuse(ctx, BadScope)
			write(api, hc, problem.New(http.StatusForbidden, problem.Forbidden, "this token does not name the operation"))
			return
		}
		if asksFresh(c.op) {
			if err := FreshSecondFactor(ctx, FreshFor); err != nil {
				write(api, hc, err)
				return
			}
		}
		next(huma.WithContext(hc, ctx))
		if hc.Status() == http.StatusForbidden && c.counted != nil {
			c.counted() // the domain refused and recorded; here it is counted
		}
	}
}

// Only admits callers of the roles to an operation, before its body is read.
func Only(api huma.API, roles ...Role) huma.Middlewares {
	return huma.Middlewares{func(hc huma.Context, next func(huma.Context)) {
		if _, err := Require(hc.Context(), roles...); err != nil {
			write(api, hc, err)
			return
		}
		next(hc)
	}}
}

func write(api huma.API, hc huma.Context, err error) {
	var p *problem.Problem
	if !errors.As(err, &p) {
		p = problem.New(http.StatusInternalServerError, problem.Internal, "")
	}
	hc.SetHeader("Content-Type", p.ContentType(""))
	hc.SetStatus(p.Status)
	_ = api.Marshal(hc.BodyWriter(), "application/json", p) // the client went away: nothing left to tell
}

func refuse(w http.ResponseWriter, p *problem.Problem) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client went away: nothing left to tell
}
