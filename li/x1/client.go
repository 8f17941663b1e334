package x1

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ligate/ligate/li"
)

// The paths of the two servers.
const (
	PathNE   = "/X1/NE"
	PathADMF = "/X1/ADMF"
)

const (
	contentType    = "application/xml"
	defaultTimeout = 5 * time.Second
)

// ClientConfig is what a Client or a Reporter needs.
type ClientConfig struct {
	URL     string        // required, https://host:port with the peer's path
	ADMFID  string        // required, admfIdentifier
	NEID    string        // required, neIdentifier
	HTTP    *http.Client  // required; its TLS configuration shows our certificate and decides whom to trust
	Timeout time.Duration // bound of one request; default 5 s
}

// Client is the ADMF's side of X1 towards one gateway. It is safe for concurrent use.
type Client struct{ x exchange }

// NewClient makes a Client. It connects to nothing.
func NewClient(cfg ClientConfig) (*Client, error) {
	x, err := newExchange(cfg, NEBinding(cfg.NEID))
	if err != nil {
		return nil, err
	}
	return &Client{x: x}, nil
}

// Activate begins a Task. *Error with CodeXIDExists says that the gateway has one
// of this XID already, which may be another: compare by All.
func (c *Client) Activate(ctx context.Context, a ActivateTask) error {
	return c.do(ctx, a, "activate task")
}

// MaxBatch is how many Tasks ActivateAll takes.
const MaxBatch = 32

// ActivateAll begins several Tasks in one exchange. It returns what became of each, in
// their order: nil, or *Error. The error is of the exchange as a whole; ErrTooLarge says
// that they do not fit into one.
func (c *Client) ActivateAll(ctx context.Context, orders []ActivateTask) ([]error, error) {
	if len(orders) == 0 || len(orders) > MaxBatch {
		return nil, ErrBody
	}
	bodies := make([]Body, len(orders))
	for i, o := range orders {
		bodies[i] = o
	}
	responses, err := c.x.doAll(ctx, bodies)
	if err != nil {
		return nil, fmt.Errorf("activate tasks: %w", err)
	}
	each := make([]error, len(responses))
	for i, r := range responses {
		if refusal, ok := r.Answer.(*Error); ok {
			each[i] = &Error{Of: KindActivateTask, Code: refusal.Code}
		}
	}
	return each, nil
}

// Modify replaces a Task of the same XID. *Error with CodeXIDUnknown says that there
// was none.
func (c *Client) Modify(ctx context.Context, m ModifyTask) error {
	return c.do(ctx, m, "modify task")
}

// Deactivate ends a Task. *Error with CodeXIDUnknown says that there was none.
func (c *Client) Deactivate(ctx context.Context, xid li.XID) error {
	return c.do(ctx, DeactivateTask{XID: xid}, "deactivate task")
}

// CreateDestination makes a destination. *Error with CodeDIDExists says that there is
// one of this DID.
func (c *Client) CreateDestination(ctx context.Context, d Destination) error {
	return c.do(ctx, CreateDestination{Destination: d}, "create destination")
}

// RemoveDestination forgets a destination.
func (c *Client) RemoveDestination(ctx context.Context, did DID) error {
	return c.do(ctx, RemoveDestination{DID: did}, "remove destination")
}

// Keepalive resets the element's fail-safe. *Error with CodeNoKeepalive says that it
// has none.
func (c *Client) Keepalive(ctx context.Context) error {
	return c.do(ctx, Keepalive{}, "keepalive")
}

func (c *Client) do(ctx context.Context, body Body, what string) error {
	if _, err := c.x.do(ctx, body); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Task asks for one Task. *Error with CodeXIDUnknown says that there is none.
func (c *Client) Task(ctx context.Context, xid li.XID) (TaskDetails, error) {
	answer, err := c.x.do(ctx, GetTaskDetails{XID: xid})
	if err != nil {
		return TaskDetails{}, fmt.Errorf("get task details: %w", err)
	}
	details, ok := answer.Answer.(TaskDetails)
	if !ok || details.Task.Signalling().XID != xid {
		return TaskDetails{}, fmt.Errorf("get task details: %w", ErrAnswer)
	}
	return details, nil
}

// All asks for all that the element is tapping and where it delivers (GetAllDetails),
// and says what its clock showed when it answered.
func (c *Client) All(ctx context.Context) (AllDetails, time.Time, error) {
	answer, err := c.x.do(ctx, GetAllDetails{})
	if err != nil {
		return AllDetails{}, time.Time{}, fmt.Errorf("get all details: %w", err)
	}
	all, ok := answer.Answer.(AllDetails)
	if !ok {
		return AllDetails{}, time.Time{}, fmt.Errorf("get all details: %w", ErrAnswer)
	}
	return all, answer.Time, nil
}

// Ping asks whether the gateway answers.
func (c *Client) Ping(ctx context.Context) error {
	return c.do(ctx, Ping{}, "ping")
}

// Reporter is a gateway's side of X1 towards the ADMF. It is safe for concurrent use.
type Reporter struct{ x exchange }

// NewReporter makes a Reporter. It connects to nothing.
func NewReporter(cfg ClientConfig) (*Reporter, error) {
	x, err := newExchange(cfg, ADMFBinding(cfg.ADMFID))
	if err != nil {
		return nil, err
	}
	return &Reporter{x: x}, nil
}

// Report tells the ADMF what became of a Task, a destination or the element itself:
// one of the Report types.
func (r *Reporter) Report(ctx context.Context, issue Body) error {
	if _, err := r.x.do(ctx, issue); err != nil {
		return fmt.Errorf("report issue: %w", err)
	}
	return nil
}

// exchange sends one request and holds the answer against it.
type exchange struct {
	cfg  ClientConfig
	http http.Client
	peer string // SAN URI that the peer's certificate must hold
}

func newExchange(cfg ClientConfig, peer string) (exchange, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || cfg.HTTP == nil || !validIdentifier(cfg.ADMFID) || !validIdentifier(cfg.NEID) {
		return exchange{}, ErrConfig
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	x := exchange{cfg: cfg, http: *cfg.HTTP, peer: peer}
	// A redirect would carry targets to whoever the answer names.
	x.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return x, nil
}

// do returns the answer, or *Error when the peer refused.
func (x *exchange) do(ctx context.Context, body Body) (Response, error) {
	all, err := x.doAll(ctx, []Body{body})
	if err != nil {
		return Response{}, err
	}
	if refusal, ok := all[0].Answer.(*Error); ok {
		return Response{}, &Error{Of: body.Kind(), Code: refusal.Code}
	}
	return all[0], nil
}

// doAll returns an answer to each request, in their order: its own or *Error.
func (x *exchange) doAll(ctx context.Context, bodies []Body) ([]Response, error) {
	requests := make([]Request, len(bodies))
	for i, body := range bodies {
		requests[i] = Request{
			Header: Header{ADMF: x.cfg.ADMFID, NE: x.cfg.NEID, Time: time.Now(), Transaction: NewTransactionID()},
			Body:   body,
		}
	}
	doc, err := EncodeRequests(requests)
	if err != nil {
		return nil, err
	}
	reply, err := x.post(ctx, doc)
	if err != nil {
		return nil, err
	}
	responses, err := DecodeResponses(reply)
	if err != nil {
		return nil, err
	}
	if len(responses) != len(requests) {
		return nil, ErrAnswer
	}
	for i, r := range responses {
		if r.Transaction != requests[i].Transaction {
			return nil, ErrAnswer
		}
		if r.ADMF != x.cfg.ADMFID || r.NE != x.cfg.NEID {
			return nil, ErrPeer
		}
		if _, refused := r.Answer.(*Error); !refused && r.Answer.Answers() != bodies[i].Kind() {
			return nil, ErrAnswer
		}
	}
	return responses, nil
}

func (x *exchange) post(ctx context.Context, doc []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, x.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.cfg.URL, bytes.NewReader(doc))
	if err != nil {
		return nil, ErrConfig
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := x.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("x1: exchange: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if !Bound(resp.TLS, x.peer) {
		return nil, ErrPeer
	}
	if resp.StatusCode != http.StatusOK {
		return nil, ErrHTTP
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, MaxResponseBytes+1))
	if err != nil {
		return nil, fmt.Errorf("x1: read answer: %w", err)
	}
	return reply, nil
}
