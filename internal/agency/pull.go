package agency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// Config is what a Client needs; fields without a default are required.
type Config struct {
	URL    string // base of the operator's API
	Server string // fingerprint of its certificate
	Keys   string // folder that Keygen made
	Dir    string // where pulled sessions go: DIR/sealed/LIID/CIN
	Log    *slog.Logger

	LogKey note.Verifier // of the operator's audit log; nil = checkpoints are compared, their signatures are not checked
}

const (
	requestTimeout = 60 * time.Second
	pageSize       = "200"
	maxJSONBytes   = 32 << 20
)

// Errors of pulling.
var (
	ErrDamaged = errors.New("pull: a segment's octets are not those that the operator announced")
	ErrSize    = errors.New("pull: the operator sent more octets than announced")
)

// StatusError is an answer of the operator that is no success.
type StatusError struct {
	Status int
	Detail string // from the operator's problem document
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("pull: the operator answered %d %s: %s", e.Status, http.StatusText(e.Status), e.Detail)
}

// Client fetches sealed sessions. Use it from one goroutine.
type Client struct {
	cfg   Config
	http  *http.Client
	shown *checkpoint // the largest that came along; nil = none yet
}

// New loads the keys.
func New(cfg Config) (*Client, error) {
	if cfg.URL == "" || cfg.Server == "" || cfg.Keys == "" || cfg.Dir == "" || cfg.Log == nil {
		return nil, errors.New("pull: URL, Server, Keys, Dir and Log are required")
	}
	own, err := pki.Load(filepath.Join(cfg.Keys, certFile), filepath.Join(cfg.Keys, keyFile))
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, http: &http.Client{
		Timeout: requestTimeout, Transport: &http.Transport{TLSClientConfig: pki.Client(own, cfg.Server), ForceAttemptHTTP2: true},
	}}, nil
}

// page is one page of a listing.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// LIIDs lists the agency's intercepts.
func (c *Client) LIIDs(ctx context.Context) ([]li.LIID, error) {
	type intercept struct {
		LIID li.LIID `json:"liid"`
	}
	all, err := list[intercept](ctx, c, "/handover/v1/intercepts")
	liids := make([]li.LIID, len(all))
	for i, a := range all {
		liids[i] = a.LIID
	}
	return liids, err
}

// Pull fetches every session of a LIID that is not there yet and returns them all,
// with ErrFork if the operator's audit log is not the one of the pull before.
func (c *Client) Pull(ctx context.Context, liid li.LIID) ([]segment.SessionDoc, error) {
	sessions, err := list[segment.SessionDoc](ctx, c, sessionsPath(liid))
	if err != nil {
		return nil, err
	}
	for _, s := range sessions {
		if s.LIID != liid || s.CIN == 0 {
			return nil, errors.New("pull: the operator answered about another intercept")
		}
		if err := c.session(ctx, s); err != nil {
			return nil, fmt.Errorf("pull session %d: %w", s.CIN, err)
		}
	}
	return sessions, c.CheckLog(ctx)
}

func sessionsPath(liid li.LIID) string {
	return "/handover/v1/intercepts/" + url.PathEscape(string(liid)) + "/sessions"
}

// Sealed is the folder of a pulled session; Opened the one of its opening.
func (c *Client) Sealed(liid li.LIID, cin li.CIN) string {
	return SessionDir(c.cfg.Dir, "sealed", liid, cin)
}

// SessionDir is where a session lies below dir. A LIID may hold any visible
// character, so its folder's name is escaped.
func SessionDir(dir, kind string, liid li.LIID, cin li.CIN) string {
	return filepath.Join(dir, kind, "liid-"+url.PathEscape(string(liid)), strconv.FormatUint(uint64(cin), 10))
}

// session fetches one session's segments and then writes its document, so that a
// document says that everything it names is there.
func (c *Client) session(ctx context.Context, s segment.SessionDoc) error {
	dir := c.Sealed(s.LIID, s.CIN)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	var all []segment.SegmentDoc
	for _, kind := range []segment.Kind{segment.KindIRI, segment.KindCC} {
		some, err := list[segment.SegmentDoc](ctx, c, fmt.Sprintf("%s/%d/%s", sessionsPath(s.LIID), s.CIN, kind))
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b segment.SegmentDoc) int { return int(a.Number) - int(b.Number) })
	if len(all) > int(s.Segments) { // grown since the session was listed
		all = all[:s.Segments]
	}
	for _, d := range all {
		path := fmt.Sprintf("%s/%d/%s/%d", sessionsPath(s.LIID), s.CIN, d.Kind, d.Number)
		if err := c.segment(ctx, path, filepath.Join(dir, open.SegmentFile(d.Number)), d); err != nil {
			return fmt.Errorf("segment %d: %w", d.Number, err)
		}
	}
	doc, err := json.MarshalIndent(segment.Pulled{Session: s, Segments: all}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode session: %w", err)
	}
	if err := replace(filepath.Join(dir, open.SessionFile()), append(doc, '\n')); err != nil {
		return err
	}
	return c.statement(ctx, dir, s)
}

// segment fetches one segment, from where an earlier attempt stopped.
func (c *Client) segment(ctx context.Context, path, file string, d segment.SegmentDoc) error {
	if sum, size, err := hashFile(file); err == nil && sum == d.SHA256 && size == d.Bytes {
		return nil
	}
	part := file + ".part"
	_, have, err := hashFile(part)
	if err != nil || have > d.Bytes {
		have = 0
	}
	if have < d.Bytes {
		if err := c.fetch(ctx, path, part, have, d.Bytes); err != nil {
			return err
		}
	}
	if sum, size, err := hashFile(part); err != nil || sum != d.SHA256 || size != d.Bytes {
		return errors.Join(ErrDamaged, os.Remove(part))
	}
	if err := os.Rename(part, file); err != nil {
		return fmt.Errorf("keep segment: %w", err)
	}
	return nil
}

func (c *Client) fetch(ctx context.Context, path, part string, from, size int64) (err error) {
	var headers http.Header
	if from > 0 {
		headers = http.Header{"Range": {fmt.Sprintf("bytes=%d-", from)}}
	}
	resp, err := c.request(ctx, http.MethodGet, path, nil, headers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusPartialContent {
		from = 0
	}
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open part: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(from); err != nil {
		return fmt.Errorf("cut part: %w", err)
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return fmt.Errorf("continue part: %w", err)
	}
	n, err := io.Copy(f, io.LimitReader(resp.Body, size-from+1))
	if err != nil {
		return fmt.Errorf("receive segment: %w", err) // the part stays: the next pull goes on there
	}
	if n > size-from {
		return ErrSize
	}
	return f.Sync()
}

// Ack tells the operator that a session arrived and verified up to a chain head.
func (c *Client) Ack(ctx context.Context, s segment.SessionDoc) error {
	body, err := json.Marshal(map[string]string{"chain_head": s.ChainHead})
	if err != nil {
		return fmt.Errorf("encode receipt: %w", err)
	}
	resp, err := c.request(ctx, http.MethodPost, fmt.Sprintf("%s/%d/ack", sessionsPath(s.LIID), s.CIN), body, http.Header{"Content-Type": {"application/json"}})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// list reads all pages of a listing.
func list[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	var all []T
	query := url.Values{"limit": {pageSize}}
	for {
		resp, err := c.request(ctx, http.MethodGet, path+"?"+query.Encode(), nil, nil)
		if err != nil {
			return nil, err
		}
		var p page[T]
		err = json.NewDecoder(io.LimitReader(resp.Body, maxJSONBytes)).Decode(&p)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return nil, fmt.Errorf("pull: read listing: %w", err)
		}
		all = append(all, p.Items...)
		if p.Next == "" {
			return all, nil
		}
		query.Set("cursor", p.Next)
	}
}

func (c *Client) request(ctx context.Context, method, path string, body []byte, headers http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("pull: make request: %w", err)
	}
	for name, values := range headers {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("pull: ask the operator: %w", err)
	}
	if err := c.note(resp.Header); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	var problem struct {
		Detail string `json:"detail"`
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, maxJSONBytes)).Decode(&problem) // a body that is no problem leaves the status
	return nil, errors.Join(&StatusError{Status: resp.StatusCode, Detail: problem.Detail}, resp.Body.Close())
}

func hashFile(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// replace writes a file under a temporary name first.
func replace(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}
