package profile

// Mark says how far a value can be relied on.
type Mark string

// The marks.
const (
	Read     Mark = "S" // read in the named text
	Recalled Mark = "R" // known of the named text, not opened: check before relying
	Inferred Mark = "I" // our judgement
)

// Source says where a value comes from. Every section has one.
type Source struct {
	Text string `yaml:"source"` // statute and section
	Mark Mark   `yaml:"mark"`
	Read string `yaml:"read"` // where it was read; required with mark S
	Note string `yaml:"note"` // what to know before relying on it; may be empty
}

// Profile is what one country asks of an operator.
type Profile struct {
	Name        string       `yaml:"name"`    // short, lower case
	Country     string       `yaml:"country"` // ISO 3166-1, two capitals
	Title       string       `yaml:"title"`
	Zone        Zone         `yaml:"zone"`
	WorkingDays WorkingDays  `yaml:"working_days"`
	Scope       Scope        `yaml:"scope"`
	LegalBases  []LegalBasis `yaml:"legal_bases"`
	Provisional Provisional  `yaml:"provisional"`
	Delivery    Delivery     `yaml:"delivery"`
	Deadlines   []Deadline   `yaml:"deadlines"`
	Retention   []Retention  `yaml:"retention"`
	Review      Review       `yaml:"review"`
	Notices     []Notice     `yaml:"notices"`
	Forms       []FormName   `yaml:"forms"`
	TestTaps    TestTaps     `yaml:"test_taps"`
	Emergency   Emergency    `yaml:"emergency_numbers"`

	calendar calendar
}

// Zone is the time zone of orders that name none.
type Zone struct {
	Name   string `yaml:"name"` // IANA
	Source `yaml:",inline"`
}

// WorkingDays says which days are none. A holiday that is missing here makes
// deadlines earlier, never later.
type WorkingDays struct {
	Weekend  []string `yaml:"weekend"`  // names of days, lower case
	Holidays []string `yaml:"holidays"` // "12-25" each year, "2026-05-04" once, "easter-2" days from Easter Sunday
	Source   `yaml:",inline"`
}

// Policy is which dialogs may be tapped.
type Policy string

// The policies.
const (
	PSTNOnly    Policy = "pstn_only"        // dialogs with exactly one PSTN side
	WithTransit Policy = "pstn_and_transit" // trunk-to-trunk transit, too
)

// Scope says which dialogs may be tapped.
type Scope struct {
	Policy Policy `yaml:"policy"`
	Source `yaml:",inline"`
}

// Kind is a kind of order.
type Kind string

// The kinds.
const (
	IRI      Kind = "iri"       // signalling
	IRIAndCC Kind = "iri+cc"    // signalling and content
	Test     Kind = "test"      // a test tap
	Urgent   Kind = "emergency" // an order before the regular one
)

// Count is from where a longest validity runs.
type Count string

// The ways to count.
const (
	FromMoment Count = "moment" // from the moment of the start
	FromDay    Count = "day"    // from the beginning of its day, which counts as the first
)

// LegalBasis is a norm that an order may rest on.
type LegalBasis struct {
	Code     string `yaml:"code"` // lower case, digits, hyphens
	Title    string `yaml:"title"`
	Allows   []Kind `yaml:"allows"`
	Longest  Period `yaml:"longest"` // validity of one order
	Count    Count  `yaml:"count"`
	NewOrder bool   `yaml:"extension_is_new_order"`
	Source   `yaml:",inline"`

	calendar calendar
}

// Provisional is the rule for an order whose original is still to come.
type Provisional struct {
	Allowed     bool   `yaml:"allowed"`
	OriginalDue Period `yaml:"original_due"` // after receipt; then the tap ends by itself
	Source      `yaml:",inline"`
}

// Mode is what may be kept for an agency.
type Mode string

// The modes.
const (
	Store      Mode = "store"       // sealed until fetched or purged
	BufferOnly Mode = "buffer-only" // content only as long as its transmission needs
)

// Delivery says what may be kept, and for how long when it is only buffered.
type Delivery struct {
	Mode   Mode `yaml:"mode"`
	Source `yaml:",inline"`
	Buffer *Buffer `yaml:"buffer"` // with buffer-only
}

// Buffer is how long content may wait for its transmission.
type Buffer struct {
	Longest Period `yaml:"longest"`
	Source  `yaml:",inline"`
}

// Names of deadlines that ligate knows.
const (
	DeadlineStart             = "start"               // from service of the order to the first copy
	DeadlineStartOutsideHours = "start_outside_hours" // the same, when nobody is at work
	DeadlineErrorReport       = "error_report"        // from finding an error to its report
	DeadlineConfirmation      = "confirmation"        // from an emergency order to its confirmation
)

// Deadline is a time within which the operator, or the authority, acts.
type Deadline struct {
	Name   string `yaml:"name"`
	Within Period `yaml:"within"`
	Source `yaml:",inline"`
}

// RecordKind is a kind of record that is kept or deleted by rule.
type RecordKind string

// The kinds of record.
const (
	RecordLog           RecordKind = "log"           // who tapped what, when
	RecordDeletion      RecordKind = "deletion"      // that log entries were deleted
	RecordWarrant       RecordKind = "warrant"       // the order and what belongs to it
	RecordCertification RecordKind = "certification" // 47 CFR 1.20004
	RecordRecording     RecordKind = "recording"     // intercepted content in the agency's hands
	RecordReview        RecordKind = "review"        // results of a quarterly review
)

// Who a duty binds, and what it asks for.
const (
	DutyOperator = "operator"
	DutyAgency   = "agency"
	RuleKeep     = "keep-at-least"
	RuleDelete   = "delete-after"
)

// Retention is how long records of one kind are kept.
type Retention struct {
	Kind   RecordKind `yaml:"kind"`
	Rule   string     `yaml:"rule"` // keep-at-least or delete-after
	For    Period     `yaml:"for"`
	After  string     `yaml:"after"` // the event that it runs from, in words
	Duty   string     `yaml:"duty"`  // operator or agency
	Source `yaml:",inline"`
}

// Review is the check of the log against the orders.
type Review struct {
	Every  string   `yaml:"every"` // quarter
	Share  float64  `yaml:"share"` // of the entries, at least; over 0, at most 1
	Always []string `yaml:"always"`
	SendTo string   `yaml:"send_to"` // who gets the result; empty = nobody
	Source `yaml:",inline"`
}

// Notice is what somebody must be told when something happens.
type Notice struct {
	Event  string   `yaml:"event"` // fault, recovery, incident
	To     string   `yaml:"to"`
	Within Period   `yaml:"within"` // "at once" = without delay
	Form   string   `yaml:"form"`
	Fields []string `yaml:"fields"` // of the form
	Source `yaml:",inline"`
}

// FormName is a report that the country knows.
type FormName struct {
	Name   string `yaml:"name"` // one of package form
	Source `yaml:",inline"`
}

// TestTaps says what a test tap may reach.
type TestTaps struct {
	RegisteredLinesOnly bool `yaml:"registered_lines_only"`
	Source              `yaml:",inline"`
}

// Emergency lists the numbers that can be no target.
type Emergency struct {
	Numbers []string `yaml:"numbers"`
	Source  `yaml:",inline"`
}
