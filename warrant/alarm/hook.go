package alarm

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/warrant/pgstore"
)

// HookConfig is what a Hook needs.
type HookConfig struct {
	Store notices               // required
	URL   string                // required; https, or http on a loopback address
	Key   []byte                // required, at least 32 octets; signs what is sent
	TLS   *tls.Config           // of the receiver; nil = the system's authorities
	Every time.Duration         // between looks; default 2 s
	LIReg prometheus.Registerer // attempts by what came of them; nil = none. There is no log: a line would tell of an alarm
	Now   func() time.Time      // default time.Now
}

// notices is the outbox.
type notices interface {
	TakeAlarmNotices(ctx context.Context, now time.Time, limit int) ([]pgstore.AlarmNotice, error)
	DropAlarmNotice(ctx context.Context, id string) error
}

const (
	minKeyBytes   = 32
	hookEvery     = 2 * time.Second
	hookTimeout   = 10 * time.Second
	hookBatch     = 20
	maxReplyBytes = 64 << 10
)

// The header of the signature: t=<seconds since 1970>,v1=<hexadecimal HMAC-SHA-256 over
// t, a dot and the body>.
const signatureHeader = "Ligate-Signature"

var errReceiver = errors.New("alarm: the receiver did not take the notice")

// Hook tells a webhook of alarms.
type Hook struct {
	cfg   HookConfig
	http  *http.Client
	tries *prometheus.CounterVec
}

// NewHook makes a Hook. It connects to nothing.
func NewHook(cfg HookConfig) (*Hook, error) {
	if cfg.Store == nil || len(cfg.Key) < minKeyBytes || !safeURL(cfg.URL) {
		return nil, ErrConfig
	}
	if cfg.Every == 0 {
		cfg.Every = hookEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	tries := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ligate_alarms_webhook_attempts_total", Help: "Notices sent to the webhook, by whether it took them.",
	}, []string{"result"})
	if cfg.LIReg != nil {
		if err := cfg.LIReg.Register(tries); err != nil {
			return nil, fmt.Errorf("alarm: register metrics: %w", err)
		}
	}
	secured := cfg.TLS
	if secured == nil {
		secured = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &Hook{cfg: cfg, tries: tries, http: &http.Client{
		Timeout:   hookTimeout,
		Transport: &http.Transport{TLSClientConfig: secured},
		// A redirect could lead out of TLS, or to somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func safeURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && err == nil && ip.IsLoopback()
}

// Run tells until ctx ends, which is no error. What is not taken stays in the store and
// comes again with back-off.
func (h *Hook) Run(ctx context.Context) error {
	tick := time.NewTicker(h.cfg.Every)
	defer tick.Stop()
	for {
		h.round(ctx)
		select {
		case <-ctx.Done():
			h.http.CloseIdleConnections()
			return nil
		case <-tick.C:
		}
	}
}

// round sends what is due. What the store cannot forget comes again under the same id.
func (h *Hook) round(ctx context.Context) {
	due, err := h.cfg.Store.TakeAlarmNotices(ctx, h.cfg.Now(), hookBatch)
	if err != nil {
		h.tries.WithLabelValues("store_error").Inc()
		return
	}
	for _, n := range due {
		if err := h.tell(ctx, n); err != nil {
			h.tries.WithLabelValues("not_taken").Inc()
			continue
		}
		h.tries.WithLabelValues("taken").Inc()
		if err := h.cfg.Store.DropAlarmNotice(ctx, n.ID); err != nil {
			h.tries.WithLabelValues("store_error").Inc()
		}
	}
}

// tell sends one notice and reports whether the receiver took it: any 2xx.
func (h *Hook) tell(ctx context.Context, n pgstore.AlarmNotice) error {
	body, err := json.Marshal(struct {
		ID    string `json:"id"`
		Alarm string `json:"alarm"`
		Kind  string `json:"kind"`
		Event string `json:"event"`
	}{n.ID, n.Alarm, n.Kind, n.Event})
	if err != nil {
		return fmt.Errorf("encode notice: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return ErrConfig
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(signatureHeader, Sign(h.cfg.Key, h.cfg.Now(), body))
	resp, err := h.http.Do(req)
	if err != nil {
		return errReceiver
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReplyBytes)) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return errReceiver
	}
	return nil
}

// Sign is the signature over a body at a moment, as its header carries it.
func Sign(key []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(t + ".")) // a hash takes all
	_, _ = mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
