package authtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Provider is an identity provider (OpenID Connect) over TLS. It holds the client to
// PKCE and one use of each code, and signs ID tokens with ES256.
type Provider struct {
	URL      string
	ClientID string
	Client   *http.Client // that trusts it

	t   testing.TB
	key *ecdsa.PrivateKey

	mu    sync.Mutex // guards codes, for a map access
	codes map[string]grant
}

type grant struct {
	challenge string
	claims    map[string]any
}

// NewProvider starts one; it ends with the test.
func NewProvider(t testing.TB) *Provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{ClientID: "ligate", t: t, key: key, codes: map[string]grant{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("POST /token", p.token)
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	p.URL, p.Client = srv.URL, srv.Client()
	return p
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client went away: nothing left to tell
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
}

// Authorize plays the person at the provider: it reads the URL to which we sent the
// browser and returns state and code. Claims are those of the ID token beside the
// ones that follow from the request; they may overrule them.
func (p *Provider) Authorize(to string, claims map[string]any) (state, code string) {
	p.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("response_type") != "code" || q.Get("max_age") == "" || q.Get("prompt") != "login" {
		p.t.Errorf("authorization request %s", u.RawQuery)
	}
	now := time.Now().Unix()
	all := map[string]any{
		"iss": p.URL, "aud": q.Get("client_id"), "nonce": q.Get("nonce"), "iat": now, "exp": now + 60, "auth_time": now,
	}
	for k, v := range claims {
		all[k] = v
	}
	code = rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = grant{challenge: q.Get("code_challenge"), claims: all}
	return q.Get("state"), code
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	g, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || b64(sum[:]) != g.challenge {
		w.WriteHeader(http.StatusBadRequest)
		answer(w, map[string]string{"error": "invalid_grant"})
		return
	}
	answer(w, map[string]any{"access_token": "unused", "token_type": "Bearer", "id_token": p.sign(g.claims)})
}

func (p *Provider) sign(claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k"}}, nil)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		p.t.Error(err)
	}
	return text
}
