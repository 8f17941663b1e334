package warrant

import (
	"net"
	"regexp"
	"strconv"
	"time"

	"github.com/ligate/ligate/li"
)

// Delivery says where and how an agency's records are pushed: over HI2 and HI3 of
// TS 102 232-1 to its monitoring facility (LEMF), as sealed files, or not at all.
// It is added by one person, confirmed by another and never changed; the newest
// confirmed one of an agency counts.
type Delivery struct {
	AgencyID AgencyID
	Number   int    // 1, 2, … of the agency
	HI2      string // host:port of the LEMF for signalling and notifications; empty = nothing is pushed
	HI3      string // host:port for content; empty = signalling only
	Cert     string // SHA-256 of the LEMF's certificate

	AuthCountry     string // authorizationCountryCode; default the agency's country
	DeliveryCountry string // deliveryCountryCode; default the agency's country
	Operator        string // operatorIdentifier, 1 to 16 octets; empty = the deployment's
	PointID         string // interceptionPointID, at most 8 characters; empty = none

	Frame      Frame
	Times      Times
	Hash       HashName
	Encryption Encryption
	Confirm    Confirm

	BufferIRI int64         // octets of signalling that may wait for the LEMF
	BufferCC  int64         // the same of content
	LagAlarm  time.Duration // the LEMF is told, and an alarm raised, when something waits longer
	HI1       bool          // notifications of activation and deactivation
	FileDrop  bool          // sealed capture files, beside or instead of HI3

	AddedBy   PersonID
	Confirmed bool
	CreatedAt time.Time
}

// Frame is what a CC payload holds (TS 102 232-5 clause 5.5 frameType).
type Frame string

// The frames.
const (
	FrameIP  Frame = "ip"
	FrameUDP Frame = "udp"
	FrameRTP Frame = "rtp" // RTCP and others still travel as IP packets
)

// Times is the form of the time stamp in the PS header.
type Times string

// The forms.
const (
	TimesMicro       Times = "micro"
	TimesGeneralized Times = "generalized"
)

// HashName is the algorithm of integrity checks.
type HashName string

// The algorithms.
const (
	SHA256 HashName = "sha256"
	SHA384 HashName = "sha384"
	SHA512 HashName = "sha512"
)

// Encryption is the algorithm of the encryption container; empty = none.
type Encryption string

// The algorithms.
const (
	NoEncryption Encryption = ""
	AES192       Encryption = "aes-192-cbc"
	AES256       Encryption = "aes-256-cbc"
)

// Confirm is when a pushed PDU counts as delivered (TS 102 232-1 clause 6.4.3).
type Confirm string

// The ways, strongest first.
const (
	ConfirmPDUAck    Confirm = "pdu-ack"   // the LEMF acknowledges PDUs
	ConfirmKeepalive Confirm = "keepalive" // the LEMF answered a keep-alive that was sent behind it
	ConfirmTCP       Confirm = "tcp"       // the LEMF's host has it: the agency must have consented
)

const (
	defaultBufferIRI = 512 << 20
	defaultBufferCC  = 4 << 30
	minBuffer        = 1 << 20
	maxBuffer        = 1 << 42
	defaultLagAlarm  = time.Minute
	maxLagAlarm      = 24 * time.Hour
	maxOperator      = 16
	maxPointID       = 8
)

// WithDefaults fills what the person who added it left empty.
func (d Delivery) WithDefaults(agency Agency) Delivery {
	orElse(&d.AuthCountry, agency.Country)
	orElse(&d.DeliveryCountry, agency.Country)
	orElse(&d.Frame, FrameIP)
	orElse(&d.Times, TimesMicro)
	orElse(&d.Hash, SHA256)
	orElse(&d.Confirm, ConfirmKeepalive)
	orElse(&d.BufferIRI, defaultBufferIRI)
	orElse(&d.BufferCC, defaultBufferCC)
	orElse(&d.LagAlarm, defaultLagAlarm)
	return d
}

func orElse[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Validate says what a delivery lacks.
func (d Delivery) Validate() error {
	country := regexp.MustCompile(`^[A-Z]{2}$`)
	printable := regexp.MustCompile(`^[A-Za-z0-9 '()+,./:=?-]*$`) // PrintableString
	switch {
	case d.HI2 != "" && !validHostPort(d.HI2) || d.HI3 != "" && !validHostPort(d.HI3):
		return broken(RuleDelivery, "hi2, hi3: want host:port")
	case d.HI3 != "" && d.HI2 == "":
		return broken(RuleDelivery, "hi3: content is not pushed without signalling; give hi2")
	case d.HI2 != "" && d.HI2 == d.HI3:
		return broken(RuleDelivery, "hi3: want another address than hi2 (TS 102 232-1 clause 6.3)")
	case d.HI2 != "" && !validCert(d.Cert):
		return broken(RuleDelivery, "certificate: want the SHA-256 of the LEMF's certificate, 64 lower-case hexadecimal digits")
	case !country.MatchString(d.AuthCountry) || !country.MatchString(d.DeliveryCountry):
		return broken(RuleDelivery, "auth_country, delivery_country: want two capitals such as DE")
	case len(d.Operator) > maxOperator:
		return broken(RuleDelivery, "operator: want at most 16 octets")
	case len(d.PointID) > maxPointID || !printable.MatchString(d.PointID):
		return broken(RuleDelivery, "point_id: want at most 8 letters, digits or marks of a PrintableString")
	case d.Frame != FrameIP && d.Frame != FrameUDP && d.Frame != FrameRTP:
		return broken(RuleDelivery, "frame: want ip, udp or rtp")
	case d.Times != TimesMicro && d.Times != TimesGeneralized:
		return broken(RuleDelivery, "times: want micro or generalized")
	case d.Hash != SHA256 && d.Hash != SHA384 && d.Hash != SHA512:
		return broken(RuleDelivery, "hash: want sha256, sha384 or sha512")
	case d.Encryption != NoEncryption && d.Encryption != AES192 && d.Encryption != AES256:
		return broken(RuleDelivery, "encryption: want none, aes-192-cbc or aes-256-cbc")
	case d.Confirm != ConfirmPDUAck && d.Confirm != ConfirmKeepalive && d.Confirm != ConfirmTCP:
		return broken(RuleDelivery, "confirm: want pdu-ack, keepalive or tcp")
	case d.BufferIRI < minBuffer || d.BufferCC < minBuffer || d.BufferIRI > maxBuffer || d.BufferCC > maxBuffer:
		return broken(RuleDelivery, "buffer_iri, buffer_cc: want at least 1 MiB")
	case d.LagAlarm < time.Second || d.LagAlarm > maxLagAlarm:
		return broken(RuleDelivery, "lag_alarm: want 1s to 24h")
	}
	return nil
}

func validHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.ParseUint(port, 10, 16)
	return err == nil && perr == nil && host != "" && n > 0 && len(s) <= maxName
}

// Notice is one HI1 notification that waits: an agency is to be told that the tap of
// its warrant began or ended.
type Notice struct {
	ID       int64 // ascending
	AgencyID AgencyID
	LIID     li.LIID
	What     string // activated, deactivated, modified
	At       time.Time
}
