package hi1

import (
	"encoding/xml"
	"time"
)

// Object is one of *Authorisation, *Task, *Document and *Notification. What the
// sender asks for (desired status) and what is (status, with its reason) stand apart
// in each.
type Object interface {
	Type() ObjectType
	// Base gives what all objects have.
	Base() *Common
}

// ObjectType names a kind of object; it is a value of the dictionary ObjectType.
type ObjectType string

// The kinds of object that we know.
const (
	TypeAuthorisation ObjectType = "Authorisation"
	TypeTask          ObjectType = "Task" // LITaskObject
	TypeDocument      ObjectType = "Document"
	TypeNotification  ObjectType = "Notification"
)

// Common is what every HI1Object has (clause 7.1).
type Common struct {
	ID          UUID
	Country     Country
	Owner       string  // OwnerIdentifier
	Generation  *uint32 // one more at each change; nil = not told
	ExternalID  string
	Associated  []UUID
	LastChanged time.Time // seconds, UTC
}

// Base gives what all objects have.
func (o *Common) Base() *Common { return o }

// Type names the kind.
func (*Authorisation) Type() ObjectType { return TypeAuthorisation }

// Type names the kind.
func (*Task) Type() ObjectType { return TypeTask }

// Type names the kind.
func (*Document) Type() ObjectType { return TypeDocument }

// Type names the kind.
func (*Notification) Type() ObjectType { return TypeNotification }

func typeNames() map[ObjectType]xml.Name {
	return map[ObjectType]xml.Name{
		TypeAuthorisation: {Space: nsAuthorisation, Local: "AuthorisationObject"},
		TypeTask:          {Space: nsTask, Local: "LITaskObject"},
		TypeDocument:      {Space: nsDocument, Local: "DocumentObject"},
		TypeNotification:  {Space: nsNotification, Local: "NotificationObject"},
	}
}

func newObject(typ xml.Name) Object {
	switch typ {
	case typeNames()[TypeAuthorisation]:
		return &Authorisation{}
	case typeNames()[TypeTask]:
		return &Task{}
	case typeNames()[TypeDocument]:
		return &Document{}
	case typeNames()[TypeNotification]:
		return &Notification{}
	}
	return nil
}

// object describes the HI1Object child.
func object(c *cursor, o *Object, required bool) {
	const name = "HI1Object"
	var n *node
	if c.write {
		if *o != nil {
			n = c.add(name, formObject)
			n.typ = typeNames()[(*o).Type()]
		}
	} else if n = c.take(name); n != nil {
		if *o = newObject(n.typ); *o == nil {
			c.fail(c.path+"/"+name, n.at, "want xsi:type AuthorisationObject, LITaskObject, DocumentObject or NotificationObject; no other objects are served")
			return
		}
	}
	if n == nil {
		if required && c.fault == nil {
			c.bad(name + " is missing")
		}
		return
	}
	kid := c.child(name, n, nsCore)
	if !kid.enter(false, true) {
		return
	}
	describeCommon(kid, (*o).Base())
	switch v := (*o).(type) {
	case *Authorisation:
		describeAuthorisation(kid.in(nsAuthorisation), v)
	case *Task:
		describeTask(kid.in(nsTask), v)
	case *Document:
		describeDocument(kid.in(nsDocument), v)
	case *Notification:
		describeNotification(kid.in(nsNotification), v)
	}
	kid.done()
}

// noProfile says why a national element is refused.
const noProfile = "national parameters are not accepted, since no national profile is agreed: leave them out"

func describeCommon(c *cursor, o *Common) {
	need(c, "ObjectIdentifier", &o.ID, uuid())
	leaf(c, "CountryCode", &o.Country, country())
	leaf(c, "OwnerIdentifier", &o.Owner, short())
	given(c, "Generation", &o.Generation, number())
	leaf(c, "ExternalIdentifier", &o.ExternalID, long())
	c.part("AssociatedObjects", nsCore, o.Associated != nil, func(c *cursor) {
		leaves(c, "AssociatedObject", &o.Associated, 0, uuid())
	})
	leaf(c, "LastChanged", &o.LastChanged, seconds())
	c.refuse("NationalHandlingParameters", noProfile)
}

// Authorisation is the legal order behind Tasks (clause 7.2).
type Authorisation struct {
	Common
	Reference     string // the authority's file number
	LegalType     *Entry
	Priority      *Entry
	Status        *Entry // the operator's
	DesiredStatus *Entry // the agency's
	Timespan      *Timespan
	CSPIDs        []Endpoint
	CreatedAt     time.Time
	ServedAt      time.Time
	TerminatedAt  time.Time
	Approvals     []Approval
	InvalidReason *ErrorInfo // why it is Rejected or Invalid
	Flags         []Entry
	ManualInfo    string // what LegalType Manual means
	Jurisdiction  string
	TypeOfCase    *Entry
	LegalEntity   string
}

// Timespan bounds a validity; the zero time is none.
type Timespan struct {
	Start time.Time
	End   time.Time
}

func describeTimespan(c *cursor, t *Timespan) {
	leaf(c, "StartTime", &t.Start, seconds())
	leaf(c, "EndTime", &t.End, seconds())
}

func describeAuthorisation(c *cursor, o *Authorisation) {
	leaf(c, "AuthorisationReference", &o.Reference, long())
	optional(c, "AuthorisationLegalType", nsCommon, &o.LegalType, describeEntry)
	optional(c, "AuthorisationPriority", nsCommon, &o.Priority, describeEntry)
	optional(c, "AuthorisationStatus", nsCommon, &o.Status, describeEntry)
	optional(c, "AuthorisationDesiredStatus", nsCommon, &o.DesiredStatus, describeEntry)
	optional(c, "AuthorisationTimespan", nsAuthorisation, &o.Timespan, describeTimespan)
	c.part("AuthorisationCSPID", nsAuthorisation, o.CSPIDs != nil, func(c *cursor) {
		list(c, "CSPID", nsCore, &o.CSPIDs, 1, describeEndpoint)
	})
	leaf(c, "AuthorisationCreationTimestamp", &o.CreatedAt, seconds())
	leaf(c, "AuthorisationServedTimestamp", &o.ServedAt, seconds())
	leaf(c, "AuthorisationTerminationTimestamp", &o.TerminatedAt, seconds())
	list(c, "AuthorisationApprovalDetails", nsCommon, &o.Approvals, 0, describeApproval)
	optional(c, "AuthorisationInvalidReason", nsCore, &o.InvalidReason, describeError)
	c.part("AuthorisationFlags", nsAuthorisation, o.Flags != nil, func(c *cursor) {
		list(c, "AuthorisationFlag", nsCommon, &o.Flags, 0, describeEntry)
	})
	leaf(c, "AuthorisationManualInformation", &o.ManualInfo, long())
	c.refuse("NationalAuthorisationParameters", noProfile)
	leaf(c, "AuthorisationJurisdiction", &o.Jurisdiction, long())
	optional(c, "AuthorisationTypeOfCase", nsCommon, &o.TypeOfCase, describeEntry)
	leaf(c, "AuthorisationLegalEntity", &o.LegalEntity, short())
}

// Document is a paper that belongs to an order (clause 7.3).
type Document struct {
	Common
	Reference     string
	Name          string
	Status        *Entry
	DesiredStatus *Entry
	Timespan      *Timespan
	DocumentType  *Entry
	Properties    []Property
	Body          *Body
	Signatures    []Approval
	InvalidReason *ErrorInfo
}

// Property is something said of a document.
type Property struct {
	Type  Entry
	Value string
}

// Body is the document itself.
type Body struct {
	Contents     Contents
	ContentType  string // such as application/pdf
	Checksum     string // lower-case hexadecimal
	ChecksumType string // such as SHA-256
}

func describeDocument(c *cursor, o *Document) {
	leaf(c, "DocumentReference", &o.Reference, long())
	leaf(c, "DocumentName", &o.Name, long())
	optional(c, "DocumentStatus", nsCommon, &o.Status, describeEntry)
	optional(c, "DocumentDesiredStatus", nsCommon, &o.DesiredStatus, describeEntry)
	optional(c, "DocumentTimespan", nsDocument, &o.Timespan, describeTimespan)
	optional(c, "DocumentType", nsCommon, &o.DocumentType, describeEntry)
	c.part("DocumentProperties", nsDocument, o.Properties != nil, func(c *cursor) {
		list(c, "DocumentProperty", nsDocument, &o.Properties, 0, func(c *cursor, p *Property) {
			must(c, "PropertyType", nsCommon, &p.Type, describeEntry)
			need(c, "PropertyValue", &p.Value, long())
		})
	})
	optional(c, "DocumentBody", nsDocument, &o.Body, func(c *cursor, b *Body) {
		leaf(c, "Contents", &b.Contents, octets())
		leaf(c, "ContentType", &b.ContentType, short())
		leaf(c, "Checksum", &b.Checksum, short())
		leaf(c, "ChecksumType", &b.ChecksumType, short())
	})
	list(c, "DocumentSignature", nsCommon, &o.Signatures, 0, describeApproval)
	optional(c, "DocumentInvalidReason", nsCore, &o.InvalidReason, describeError)
	c.refuse("NationalDocumentParameters", noProfile)
}

// Notification tells that something changed (clause 7.4). It has no status.
type Notification struct {
	Common
	Details          string
	NotificationType *Entry
	New              *bool
	Time             time.Time // seconds
}

func describeNotification(c *cursor, o *Notification) {
	leaf(c, "NotificationDetails", &o.Details, long())
	optional(c, "NotificationType", nsCommon, &o.NotificationType, describeEntry)
	given(c, "NewNotification", &o.New, boolean())
	leaf(c, "NotificationTimestamp", &o.Time, seconds())
	c.refuse("NationalNotificationParameters", noProfile)
}

// EncodeObject writes one object by itself, in the JSON form, for who stores it.
// The same object gives the same octets.
func EncodeObject(o Object) ([]byte, error) {
	root := &node{form: formObject}
	c := &cursor{coder: &coder{format: formatJSON, write: true}, n: root, ns: nsCore}
	object(c, &o, true)
	if c.fault != nil {
		return nil, c.fault
	}
	return printJSON(root), nil
}

// DecodeObject reads what EncodeObject wrote.
func DecodeObject(b []byte) (Object, error) {
	root, fault := parseJSON(b)
	if fault != nil {
		return nil, fault
	}
	c := &cursor{coder: &coder{format: formatJSON}, n: root, ns: nsCore}
	var o Object
	object(c, &o, true)
	c.done()
	if c.fault != nil {
		return nil, c.fault
	}
	return o, nil
}
