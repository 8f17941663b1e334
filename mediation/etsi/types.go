package etsi

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ligate/ligate/li"
)

// Kind is what a counter of PS-PDUs counts: IRI or CC (also dataType of clause 7.2.3).
type Kind uint8

// The kinds.
const (
	KindIRI Kind = iota + 1
	KindCC
)

// IRIType is the record type of TS 102 232-1 clause 5.2.10. The values are not in the
// order of a call.
type IRIType uint8

// The record types.
const (
	Begin IRIType = iota + 1
	End
	Continue
	Report
)

// Direction is PayloadDirection.
type Direction uint8

// The directions. DirNotApplicable is not written.
const (
	DirFromTarget Direction = iota
	DirToTarget
	DirIndeterminate
	DirCombined
	DirNotApplicable
)

// Qualifier says when a time stamp was taken (timeStampQualifier).
type Qualifier uint8

// The qualifiers. QualUnknown is not written.
const (
	QualUnknown Qualifier = iota
	QualTimeOfInterception
	QualTimeOfMediation
	QualTimeOfAggregation
)

// FrameType says what a CC payload holds (TS 102 232-5 clause 5.5).
type FrameType uint8

// The frame types.
const (
	FrameIP FrameType = iota
	FrameUDP
	FrameRTP
	FrameAudio
	FrameTCP
	FrameArtificialRTP
	FrameUDPTL
	FrameMSRP
)

// TimeFormat is the form of the header's time stamp (clause 5.2.6).
type TimeFormat uint8

// The forms.
const (
	TimeMicro       TimeFormat = iota // microSecondTimeStamp
	TimeGeneralized                   // timeStamp, with microseconds
)

// Stream is what all PS-PDUs of one (LIID, CIN) carry alike.
type Stream struct {
	LIID            li.LIID
	AuthCountry     string // authorizationCountryCode, two capitals; empty = absent
	Operator        string // operatorIdentifier, 1 to 16 octets
	Element         string // networkElementIdentifier, at most 16 octets; empty = absent
	CIN             uint32 // with HasCIN only
	HasCIN          bool   // notifications and keep-alives have none
	DeliveryCountry string // two capitals; empty = absent
	PointID         string // interceptionPointID, at most 8 characters; empty = absent
	Times           TimeFormat
}

// CC is one intercepted packet (CCPayload with IPMMCC).
type CC struct {
	Seq       uint32
	Time      time.Time
	Qualifier Qualifier
	Direction Direction
	Frame     FrameType
	StreamID  []byte // streamIdentifier; nil = absent
	UDPTL     bool   // mMCCprotocol uDPTL; else it is absent, which means RTP or RTCP
	Packet    []byte
}

// IRI is one SIP message (IRIPayload with IPMMIRI).
type IRI struct {
	Seq       uint32
	Time      time.Time
	Qualifier Qualifier
	Type      IRIType
	Direction Direction  // payloadDirection
	Src, Dst  netip.Addr // of the network layer (TS 102 232-5 clause 5.2.7)
	SIP       []byte
	IRIOnly   bool // iRIOnlySIPMessage (clause 5.2.6)
}

// TRI is the alternative of TRIPayload.
type TRI uint8

// The alternatives, by their tags.
const (
	TRIIntegrityCheck TRI = iota
	TRITest
	TRIPadding
	TRIKeepalive
	TRIKeepaliveResponse
	TRIFirstSegment
	TRILastSegment
	TRICINReset
	TRIOperatorMessage
	TRIOptionRequest
	TRIOptionResponse
	TRIOptionComplete
	TRIPDUAckRequest
	TRIPDUAckResponse
)

// HashAlgorithm is that of an integrity check (clause 7.2).
type HashAlgorithm uint8

// The algorithms. SHA1 is for reading old streams only.
const (
	SHA1 HashAlgorithm = iota + 1
	SHA256
	SHA384
	SHA512
)

// SigAlgorithm is that of a signature over integrity checks (clause 7.2).
type SigAlgorithm uint8

// The algorithms. SigDSA is for reading old streams only.
const (
	SigDSA SigAlgorithm = iota + 1
	SigECDSA
	SigEdDSA
)

// Integrity is IntegrityCheck.
type Integrity struct {
	Included  []uint32 // numbers of the covered PDUs, in the order of processing
	Signature bool     // else it is a hash
	Of        Kind     // dataType
	Value     []byte
	Hash      HashAlgorithm // 0 = absent
	Sig       SigAlgorithm  // 0 = absent
}

// HI1Kind is the alternative of HI1-Operation.
type HI1Kind uint8

// The alternatives, by their tags.
const (
	HI1Activated HI1Kind = iota + 1
	HI1Deactivated
	HI1Modified
	HI1Alarm
)

// HI1 is HI1-Operation.
type HI1 struct {
	What HI1Kind
	LIID li.LIID // optional in an alarm
	At   time.Time
	Text string // target-Information or alarm-information, at most 256 octets; mandatory in an alarm
}

// Payload says what a PS-PDU carries.
type Payload uint8

// The payloads.
const (
	PayloadIRI Payload = iota + 1
	PayloadCC
	PayloadTRI
	PayloadHI1
	PayloadEncrypted
	PayloadOther // an alternative that is not ours
)

// EncryptionType is that of the encryption container.
type EncryptionType uint8

// The types that are written here.
const (
	EncNone   EncryptionType = 1
	EncAES192 EncryptionType = 3
	EncAES256 EncryptionType = 4
)

// Encrypted is EncryptionContainer.
type Encrypted struct {
	Type        EncryptionType
	Octets      []byte
	PayloadType uint8 // encryptedPayloadType; 0 = absent
}

// PDU is a decoded PS-PDU. Slices alias the input.
type PDU struct {
	Version uint32 // last arc of li-psDomainId; 43 is ours
	Stream
	Seq       uint32
	Time      time.Time // zero = absent
	Qualifier Qualifier

	What            Payload
	IRIs            []IRI // several where the sender aggregates (clause 6.2.3); only what is SIP
	CCs             []CC  // the same; only what is IP multimedia
	TRI             TRI
	Message         string // of TRIOperatorMessage
	MessageIsError  bool
	PDUAckRequested bool // of TRIOptionRequest
	PDUAckAccepted  bool // of TRIOptionResponse
	Integrity       *Integrity
	HI1             *HI1
	Encrypted       *Encrypted

	Raw []byte // the whole PS-PDU
}

// MaxPDU is the longest PS-PDU that is read.
const MaxPDU = 4 << 20

// Errors of the codec.
var (
	ErrShort  = errors.New("etsi: more octets are needed")
	ErrBER    = errors.New("etsi: not BER with definite lengths")
	ErrLength = errors.New("etsi: a length is out of bounds")
	ErrTag    = errors.New("etsi: not a PS-PDU")
	ErrField  = errors.New("etsi: a field is missing or malformed")
	ErrValue  = errors.New("etsi: a value cannot be encoded")
	ErrKey    = errors.New("etsi: the encryption container does not open with this key")
)
