package x1

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"
)

// HandlerConfig is what the server of one side needs; every field is required but the last three.
type HandlerConfig struct {
	Path    string                                // PathNE or PathADMF
	ADMFID  string                                // the one ADMF
	NEIDs   []string                              // the gateways that this side knows: its own name, or those of its peers
	Peer    func(Header) string                   // the binding that the peer's certificate must hold for such a message
	Handle  func(context.Context, Request) Answer // nil = unsupported request
	Counted func(Kind, int)                       // told of each message and its code, 0 = done; must not block
	Bare    bool                                  // hand Tasks without an end of their own to Handle too
	Heard   func()                                // called at each message of the right peer; default nothing
	Now     func() time.Time                      // default time.Now
}

// NewHandler makes the HTTP side of an X1 server: POST on one path, bounded body,
// identity checked at each message, errors in XML with status 200 (clause 7.2.2.2).
func NewHandler(cfg HandlerConfig) (http.Handler, error) {
	if cfg.Path == "" || !validIdentifier(cfg.ADMFID) || len(cfg.NEIDs) == 0 || cfg.Peer == nil || cfg.Handle == nil || cfg.Counted == nil {
		return nil, ErrConfig
	}
	for _, id := range cfg.NEIDs {
		if !validIdentifier(id) {
			return nil, ErrConfig
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Heard == nil {
		cfg.Heard = func() {}
	}
	return &handler{cfg: cfg}, nil
}

type handler struct{ cfg HandlerConfig }

func (s *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.URL.Path != s.cfg.Path {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		h.Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != contentType && media != "text/xml" {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestBytes))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	doc, err := s.answer(r, body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", contentType)
	_, _ = w.Write(doc) // the peer asks again
}

func (s *handler) answer(r *http.Request, body []byte) ([]byte, error) {
	reqs, err := decodeRequests(body, s.cfg.Bare)
	if err != nil {
		s.cfg.Counted(KindExtended, CodeSyntax)
		return EncodeTopLevelError(s.cfg.ADMFID, s.cfg.NEIDs[0], s.cfg.Now())
	}
	responses := make([]Response, 0, len(reqs))
	for _, req := range reqs {
		answer := s.one(r, req)
		code := 0
		if refusal, ok := answer.(*Error); ok {
			code = refusal.Code
		}
		s.cfg.Counted(req.Body.Kind(), code)
		responses = append(responses, Response{
			Header: Header{ADMF: req.ADMF, NE: req.NE, Time: s.cfg.Now(), Transaction: req.Transaction},
			Answer: answer,
		})
	}
	return EncodeResponses(responses)
}

// one answers one message. Who asks is settled before what is asked is looked at.
func (s *handler) one(r *http.Request, req Request) Answer {
	refuse := func(code int) Answer { return &Error{Of: req.Body.Kind(), Code: code} }
	switch {
	case !Bound(r.TLS, s.cfg.Peer(req.Header)):
		return refuse(CodeCertificate)
	case req.ADMF != s.cfg.ADMFID:
		return refuse(CodeUnexpectedADMF)
	case !slices.Contains(s.cfg.NEIDs, req.NE):
		return refuse(CodeUnexpectedNE)
	}
	s.cfg.Heard()
	if refused, ok := req.Body.(Refused); ok {
		return refuse(refused.Code)
	}
	answer := s.cfg.Handle(r.Context(), req)
	if answer == nil {
		return refuse(CodeUnsupported)
	}
	return answer
}
