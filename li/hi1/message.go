package hi1

import (
	"encoding/xml"
	"time"
)

// Version is the ETSIVersion that we put into messages: that of the schemas that
// they are valid under.
const Version = "V1.12.1"

// The national profile that we name: none is agreed, so it is the operator's own.
const (
	ProfileOwner   = "ligate"
	ProfileVersion = "1"
)

// maxActions bounds the actions of one message.
const maxActions = 64

// Endpoint names a party (EndpointID).
type Endpoint struct {
	Country Country
	ID      string // UniqueIdentifier
}

// Header is what every message carries (clause 6.2).
type Header struct {
	Sender         Endpoint
	Receiver       Endpoint
	Transaction    UUID
	Time           time.Time // microseconds, UTC
	Version        string    // ETSIVersion, such as V1.12.1
	ProfileOwner   string    // NationalProfileOwner
	ProfileVersion string
}

// Message is one HI1Message. Exactly one of Requests, Responses and Error is set.
type Message struct {
	Header
	Requests  []ActionRequest
	Responses []ActionResponse
	Error     *ErrorInfo // the whole message was refused
}

// ActionRequest asks for one act. Exactly one verb is set.
type ActionRequest struct {
	ID      uint32
	Get     *Reference
	Create  *Subject
	Update  *Subject
	List    *Listing
	Deliver *Delivered
}

// ActionResponse answers the ActionRequest of the same ID. Exactly one is set.
type ActionResponse struct {
	ID        uint32
	Get       *Subject
	Create    *Result
	Update    *Result
	List      *Records
	Error     *ErrorInfo
	Delivered *Reference
}

// Reference names an object.
type Reference struct{ Identifier UUID }

// Subject holds an object.
type Subject struct{ Object Object }

// Delivered is DELIVER: an object for another one.
type Delivered struct {
	Identifier UUID
	Object     Object
}

// Result answers CREATE and UPDATE.
type Result struct {
	Identifier UUID
	Object     Object // as it now is; nil = not told
}

// Listing is LIST: objects of a type, of those changed since.
type Listing struct {
	ObjectType  *Entry
	LastChanged time.Time
}

// Records answers LIST.
type Records struct{ Records []Record }

// Record is one line of Records.
type Record struct {
	ObjectType  Entry
	Identifier  UUID
	Country     Country
	Owner       string
	Generation  uint32
	ExternalID  string
	LastChanged time.Time
}

// ErrorInfo says why something was not done (ActionUnsuccesfulInformation, which is
// how the schema spells it).
type ErrorInfo struct {
	Code        uint32
	Description string
}

// DecodeXML reads one HI1Message. An error is ErrTooLarge or a *Fault.
func DecodeXML(b []byte) (Message, error) { return decode(b, formatXML, parseXML) }

// DecodeJSON reads the JSON form.
func DecodeJSON(b []byte) (Message, error) { return decode(b, formatJSON, parseJSON) }

// EncodeXML writes one HI1Message that is valid under ETSI's schema.
func EncodeXML(m Message) ([]byte, error) { return encode(m, formatXML, printXML) }

// EncodeJSON writes the JSON form.
func EncodeJSON(m Message) ([]byte, error) { return encode(m, formatJSON, printJSON) }

func decode(b []byte, f format, parse func([]byte) (*node, *Fault)) (Message, error) {
	if len(b) > MaxMessageBytes {
		return Message{}, ErrTooLarge
	}
	root, fault := parse(b)
	if fault != nil {
		return Message{}, fault
	}
	if root.name != (xml.Name{Space: nsCore, Local: rootName}) {
		return Message{}, &Fault{Offset: root.at, Reason: "the root is not HI1Message of the namespace " + nsCore}
	}
	c := &cursor{coder: &coder{format: f}, n: root, ns: nsCore, path: rootName}
	var m Message
	if c.enter(false, false) {
		describeMessage(c, &m)
		c.done()
	}
	if c.fault != nil {
		if m.Transaction != "" && !m.Time.IsZero() && m.Header.ProfileVersion != "" {
			h := m.Header
			c.fault.Header = &h
		}
		return Message{}, c.fault
	}
	return m, nil
}

const rootName = "HI1Message"

func encode(m Message, f format, print func(*node) []byte) ([]byte, error) {
	root := &node{name: xml.Name{Space: nsCore, Local: rootName}, form: formObject}
	c := &cursor{coder: &coder{format: f, write: true}, n: root, ns: nsCore, path: rootName}
	describeMessage(c, &m)
	if c.fault != nil {
		return nil, c.fault
	}
	doc := print(root)
	if len(doc) > MaxMessageBytes {
		return nil, ErrTooLarge
	}
	return doc, nil
}

func describeMessage(c *cursor, m *Message) {
	must(c, "Header", nsCore, &m.Header, describeHeader)
	must(c, "Payload", nsCore, m, describePayload)
	c.refuse("Signature", "signed messages are not accepted, since no profile for signatures is agreed: leave it out")
	c.refuse("Signatures", "signed messages are not accepted, since no profile for signatures is agreed: leave it out")
}

func describeHeader(c *cursor, h *Header) {
	must(c, "SenderIdentifier", nsCore, &h.Sender, describeEndpoint)
	must(c, "ReceiverIdentifier", nsCore, &h.Receiver, describeEndpoint)
	need(c, "TransactionIdentifier", &h.Transaction, uuid())
	need(c, "Timestamp", &h.Time, micros())
	must(c, "Version", nsCore, h, func(c *cursor, h *Header) {
		need(c, "ETSIVersion", &h.Version, version())
		need(c, "NationalProfileOwner", &h.ProfileOwner, short())
		need(c, "NationalProfileVersion", &h.ProfileVersion, short())
	})
}

func describeEndpoint(c *cursor, e *Endpoint) {
	need(c, "CountryCode", &e.Country, country())
	need(c, "UniqueIdentifier", &e.ID, long())
}

func describePayload(c *cursor, m *Message) {
	asked := c.part("RequestPayload", nsCore, m.Requests != nil, func(c *cursor) {
		must(c, "ActionRequests", nsCore, m, func(c *cursor, m *Message) {
			list(c, "ActionRequest", nsCore, &m.Requests, 1, describeRequest)
			if len(m.Requests) > maxActions {
				c.bad("at most 64 actions a message")
			}
		})
	})
	answered := c.part("ResponsePayload", nsCore, m.Responses != nil || m.Error != nil, func(c *cursor) { describeResponses(c, m) })
	one(c, asked, answered)
}

// one refuses an element of which not exactly one alternative is there.
func one(c *cursor, present ...bool) {
	n := 0
	for _, p := range present {
		if p {
			n++
		}
	}
	if c.fault == nil && n != 1 && (c.write || len(c.n.kids) == 0) {
		c.bad("want exactly one of its alternatives")
	}
}

func describeResponses(c *cursor, m *Message) {
	answers := c.part("ActionResponses", nsCore, m.Responses != nil, func(c *cursor) {
		list(c, "ActionResponse", nsCore, &m.Responses, 1, describeResponse)
	})
	optional(c, "ErrorInformation", nsCore, &m.Error, describeError)
	one(c, answers, m.Error != nil)
}

func describeRequest(c *cursor, r *ActionRequest) {
	count(c, "ActionIdentifier", &r.ID)
	optional(c, "GET", nsCore, &r.Get, describeReference)
	optional(c, "CREATE", nsCore, &r.Create, describeSubject)
	optional(c, "UPDATE", nsCore, &r.Update, describeSubject)
	optional(c, "LIST", nsCore, &r.List, describeListing)
	optional(c, "DELIVER", nsCore, &r.Deliver, func(c *cursor, d *Delivered) {
		need(c, "Identifier", &d.Identifier, uuid())
		object(c, &d.Object, true)
	})
	one(c, r.Get != nil, r.Create != nil, r.Update != nil, r.List != nil, r.Deliver != nil)
}

func describeResponse(c *cursor, r *ActionResponse) {
	count(c, "ActionIdentifier", &r.ID)
	optional(c, "GETResponse", nsCore, &r.Get, describeSubject)
	optional(c, "CREATEResponse", nsCore, &r.Create, describeResult)
	optional(c, "UPDATEResponse", nsCore, &r.Update, describeResult)
	optional(c, "LISTResponse", nsCore, &r.List, func(c *cursor, l *Records) {
		list(c, "ListResponseRecord", nsCore, &l.Records, 0, describeRecord)
	})
	optional(c, "ErrorInformation", nsCore, &r.Error, describeError)
	optional(c, "DELIVERResponse", nsCore, &r.Delivered, describeReference)
	one(c, r.Get != nil, r.Create != nil, r.Update != nil, r.List != nil, r.Error != nil, r.Delivered != nil)
}

func describeReference(c *cursor, r *Reference) { need(c, "Identifier", &r.Identifier, uuid()) }

func describeSubject(c *cursor, s *Subject) { object(c, &s.Object, true) }

func describeResult(c *cursor, r *Result) {
	need(c, "Identifier", &r.Identifier, uuid())
	object(c, &r.Object, false)
}

func describeListing(c *cursor, l *Listing) {
	optional(c, "ObjectType", nsCommon, &l.ObjectType, describeEntry)
	leaf(c, "LastChanged", &l.LastChanged, seconds())
}

func describeRecord(c *cursor, r *Record) {
	must(c, "ObjectType", nsCommon, &r.ObjectType, describeEntry)
	need(c, "Identifier", &r.Identifier, uuid())
	leaf(c, "CountryCode", &r.Country, country())
	leaf(c, "OwnerIdentifier", &r.Owner, short())
	count(c, "Generation", &r.Generation)
	leaf(c, "ExternalIdentifier", &r.ExternalID, long())
	leaf(c, "LastChanged", &r.LastChanged, seconds())
}

func describeError(c *cursor, e *ErrorInfo) {
	count(c, "ErrorCode", &e.Code)
	need(c, "ErrorDescription", &e.Description, long())
}
