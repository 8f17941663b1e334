package hi1

import "time"

// Entry is a value of a dictionary (clause 7.1.3).
type Entry struct {
	Owner string
	Name  string
	Value string
}

// ETSI makes an Entry of one of ETSI's dictionaries.
func ETSI(name, value string) *Entry { return &Entry{Owner: "ETSI", Name: name, Value: value} }

// The dictionaries that we write or read.
const (
	DictObjectType          = "ObjectType"
	DictAuthorisationStatus = "AuthorisationStatus"
	DictAuthorisationWish   = "AuthorisationDesiredStatus"
	DictAuthorisationFlag   = "AuthorisationFlag"
	DictLegalType           = "AuthorisationLegalType"
	DictPriority            = "AuthorisationPriority"
	DictDocumentStatus      = "DocumentStatus"
	DictDocumentWish        = "DocumentDesiredStatus"
	DictDocumentType        = "DocumentType"
	DictNotificationType    = "NotificationType"
	DictTaskStatus          = "TaskStatus"
	DictTaskWish            = "TaskDesiredStatus"
	DictTaskFlag            = "TaskFlag"
	DictDeliveryType        = "TaskDeliveryType"
	DictHandoverFormat      = "HandoverFormat"
)

// Is reports whether e is that value of ETSI's dictionary; nil is none.
func (e *Entry) Is(dictionary, value string) bool {
	return e != nil && *e == Entry{Owner: "ETSI", Name: dictionary, Value: value}
}

func describeEntry(c *cursor, e *Entry) {
	need(c, "Owner", &e.Owner, short())
	need(c, "Name", &e.Name, short())
	need(c, "Value", &e.Value, short())
}

// Approval says who approved an order on the agency's side (ApprovalDetails).
type Approval struct {
	Type        string
	Description string
	Reference   string
	Approver    *Approver
	Time        time.Time // seconds
	Emergency   *bool
}

// Approver is a person or office that approved.
type Approver struct {
	Name     string
	Role     string
	Contacts []Contact
}

// Contact is how an approver is reached.
type Contact struct {
	Name  string
	Email string
	Phone string // digits
}

func describeApproval(c *cursor, a *Approval) {
	leaf(c, "ApprovalType", &a.Type, long())
	leaf(c, "ApprovalDescription", &a.Description, long())
	leaf(c, "ApprovalReference", &a.Reference, long())
	optional(c, "ApproverDetails", nsCommon, &a.Approver, func(c *cursor, a *Approver) {
		leaf(c, "ApproverName", &a.Name, long())
		leaf(c, "ApproverRole", &a.Role, long())
		c.refuse("ApproverIdentity", noProfile)
		list(c, "ApproverContactDetails", nsCommon, &a.Contacts, 0, func(c *cursor, d *Contact) {
			leaf(c, "ApproverAlternateName", &d.Name, long())
			leaf(c, "ApproverEmailAddress", &d.Email, text[string](false, "an e-mail address", isEmail))
			leaf(c, "ApproverPhoneNumber", &d.Phone, e164())
		})
	})
	leaf(c, "ApprovalTimestamp", &a.Time, seconds())
	given(c, "ApprovalIsEmergency", &a.Emergency, boolean())
	c.refuse("ApprovalDigitalSignature", noProfile)
	c.refuse("ApprovalNationalDetails", noProfile)
}

// isEmail is the schema's InternationalizedEmailAddress: something at something, on
// one line.
func isEmail(s string) bool {
	if !printable(s, maxShort) {
		return false
	}
	at := -1
	for i, r := range s {
		if r < 0x20 {
			return false
		}
		if r == '@' && i > 0 && at < 0 {
			at = i
		}
	}
	return at > 0 && at < len(s)-1
}
