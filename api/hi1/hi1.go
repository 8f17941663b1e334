package hi1

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ligate/ligate/api/auth"
	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/hi1"
	"github.com/ligate/ligate/warrant/pgstore"
)

// Config is what the HI1 endpoint needs; all fields but Now are required.
type Config struct {
	Store    *pgstore.HI1
	Plan     li.NumberPlan
	Endpoint hi1.Endpoint     // who we are: ReceiverIdentifier of what agencies send
	Now      func() time.Time // default time.Now
}

// drafts is what this package may do: nothing in it makes a warrant.
type drafts interface {
	DraftFromHI1(ctx context.Context, by pgstore.HI1Caller, in pgstore.HI1Intake) error
	AskCancel(ctx context.Context, by pgstore.HI1Caller, id hi1.UUID) (pgstore.HI1Cancel, error)
	Object(ctx context.Context, by pgstore.HI1Caller, id hi1.UUID) (pgstore.HI1Object, error)
	Known(ctx context.Context, by pgstore.HI1Caller, id hi1.UUID) (pgstore.HI1Object, error)
	Objects(ctx context.Context, by pgstore.HI1Caller, kind hi1.ObjectType, since time.Time, limit int) ([]pgstore.HI1Record, error)
	Notifications(ctx context.Context, by pgstore.HI1Caller, p pgstore.Page) ([]pgstore.HI1Notification, error)
	Refused(ctx context.Context, by pgstore.HI1Caller, action, object, reason string) error
}

type settings struct {
	Store    drafts
	Plan     li.NumberPlan
	Endpoint hi1.Endpoint
	Now      func() time.Time
}

type handlers struct{ cfg settings }

// Path is where messages are posted, of at most MaxBodyBytes.
const (
	Path         = "/hi1/v1"
	MaxBodyBytes = hi1.MaxMessageBytes
)

// readTimeout bounds how long a message may take to arrive.
const readTimeout = time.Minute

// Register adds the operations to the API.
func Register(api huma.API, cfg Config) {
	h := &handlers{cfg: settings{Store: cfg.Store, Plan: cfg.Plan, Endpoint: cfg.Endpoint, Now: cfg.Now}}
	if h.cfg.Now == nil {
		h.cfg.Now = time.Now
	}
	huma.Register(api, huma.Operation{
		Method: http.MethodPost, Path: Path, OperationID: "post-hi1-message", Summary: "One HI1Message (TS 103 120), as XML or JSON", Tags: []string{"hi1"},
		MaxBodyBytes: MaxBodyBytes, BodyReadTimeout: readTimeout, Middlewares: auth.Only(api, auth.Agency),
	}, h.post)
	huma.Register(api, huma.Operation{
		Method: http.MethodGet, Path: Path + "/notifications", OperationID: "get-hi1-notifications", Tags: []string{"hi1"},
		Summary: "NotificationObjects behind a cursor, in an HI1Message; 204 where there are none",
	}, h.notifications)
}

// caller admits a person of an agency.
func caller(ctx context.Context) (auth.Caller, pgstore.HI1Caller, error) {
	c, err := auth.Require(ctx, auth.Agency)
	return c, pgstore.HI1Caller{Agency: c.Agency.ID, Person: audit.Pseudonym(c.Cert), Cert: c.Cert, Source: c.Source}, err
}

// form is one of the two forms of a message.
type form struct {
	contentType string
	decode      func([]byte) (hi1.Message, error)
	encode      func(hi1.Message) ([]byte, error)
}

// formOf finds the form of a media type.
func formOf(contentType string) (form, bool) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return form{}, false
	}
	switch media {
	case "application/xml", "text/xml":
		return form{"application/xml; charset=utf-8", hi1.DecodeXML, hi1.EncodeXML}, true
	case "application/json":
		return form{"application/json", hi1.DecodeJSON, hi1.EncodeJSON}, true
	}
	return form{}, false
}

type postInput struct {
	ContentType string `header:"Content-Type" doc:"application/xml or application/json"`
	RawBody     []byte
}

type messageOutput struct {
	Status      int
	ContentType string `header:"Content-Type"`
	Next        string `header:"Ligate-Next" doc:"cursor behind the last notification"`
	Body        []byte
}

// session is one message of an agency.
type session struct {
	cfg    settings
	caller auth.Caller
	by     pgstore.HI1Caller
	now    time.Time
}

func (h *handlers) post(ctx context.Context, in *postInput) (*messageOutput, error) {
	c, by, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	f, ok := formOf(in.ContentType)
	if !ok {
		if err := h.cfg.Store.Refused(ctx, by, "hi1.message", "", "content type"); err != nil {
			return nil, problem.From(err)
		}
		return nil, problem.New(http.StatusUnsupportedMediaType, problem.BadRequest, "Content-Type: want application/xml or application/json")
	}
	s := &session{cfg: h.cfg, caller: c, by: by, now: h.cfg.Now().UTC()}
	m, err := f.decode(in.RawBody)
	var out hi1.Message
	if err == nil {
		out, err = s.answer(ctx, m)
	} else {
		out, err = s.unreadable(ctx, err)
	}
	if err != nil {
		return nil, problem.From(err)
	}
	b, err := f.encode(out)
	if err != nil {
		return nil, problem.From(err)
	}
	return &messageOutput{Status: http.StatusOK, ContentType: f.contentType, Body: b}, nil
}

// unreadable answers what could not be read: as a message if its header could.
func (s *session) unreadable(ctx context.Context, err error) (hi1.Message, error) {
	if auditErr := s.cfg.Store.Refused(ctx, s.by, "hi1.message", "", "schema"); auditErr != nil {
		return hi1.Message{}, auditErr
	}
	var fault *hi1.Fault
	if !errors.As(err, &fault) {
		return hi1.Message{}, problem.New(http.StatusRequestEntityTooLarge, problem.BadRequest, "the message is too large")
	}
	if fault.Header == nil {
		return hi1.Message{}, problem.New(http.StatusBadRequest, problem.BadRequest, fault.Error())
	}
	return hi1.Message{Header: s.header(*fault.Header), Error: &hi1.ErrorInfo{Code: codeSchema, Description: fault.Error()}}, nil
}

// header answers a header.
func (s *session) header(in hi1.Header) hi1.Header {
	return hi1.Header{
		Sender: s.cfg.Endpoint, Receiver: in.Sender, Transaction: in.Transaction, Time: s.now.Truncate(time.Microsecond),
		Version: hi1.Version, ProfileOwner: hi1.ProfileOwner, ProfileVersion: hi1.ProfileVersion,
	}
}

// answer does the actions of a message: first the CREATEs together, then the others in
// their order.
func (s *session) answer(ctx context.Context, m hi1.Message) (hi1.Message, error) {
	out := hi1.Message{Header: s.header(m.Header)}
	if fault := s.parties(m); fault != nil {
		out.Error = fault.info()
		return out, s.cfg.Store.Refused(ctx, s.by, "hi1.message", string(m.Transaction), "parties")
	}
	var creates []hi1.ActionRequest
	for _, a := range m.Requests {
		if a.Create != nil {
			creates = append(creates, a)
		}
	}
	var created map[uint32]hi1.ActionResponse
	var err error
	if len(creates) > 0 {
		if created, err = s.create(ctx, creates); err != nil {
			return hi1.Message{}, err
		}
	}
	for _, a := range m.Requests {
		answer, done := created[a.ID]
		if !done {
			if answer, err = s.act(ctx, a); err != nil {
				return hi1.Message{}, err
			}
		}
		out.Responses = append(out.Responses, answer)
	}
	return out, nil
}

// parties checks that the message is from this agency to us, and asks for something.
func (s *session) parties(m hi1.Message) *refusal {
	seen := map[uint32]bool{}
	for _, a := range m.Requests {
		if seen[a.ID] {
			return refuse(codeSchema, "ActionIdentifier: one stands twice")
		}
		seen[a.ID] = true
	}
	switch {
	case m.Requests == nil:
		return refuse(codeSchema, "Payload: want a RequestPayload")
	case m.Receiver != s.cfg.Endpoint:
		return refuse(codeParties, "ReceiverIdentifier: not this operator's")
	case m.Sender != hi1.Endpoint{Country: hi1.Country(s.caller.Agency.Country), ID: s.caller.Agency.Name}:
		return refuse(codeParties, "SenderIdentifier: want the country and the name under which your agency is registered")
	}
	return nil
}

// refused records a refused action and answers it.
func (s *session) refused(ctx context.Context, action string, id uint32, object hi1.UUID, fault *refusal) (hi1.ActionResponse, error) {
	err := s.cfg.Store.Refused(ctx, s.by, action, string(object), ruleOf(fault.code))
	return hi1.ActionResponse{ID: id, Error: fault.info()}, err
}
