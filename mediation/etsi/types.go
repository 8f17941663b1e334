package etsi

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// Kind is the kind of a record; its numbers are those of DataType.
type Kind uint8

// The kinds.
const (
	KindIRI Kind = 1
	KindCC  Kind = 2
)

// IRIType says where in its session a record stands (TS 102 232-1 clause 5.2.10).
// The numbers are not in the order of a call.
type IRIType uint8

// The types. A decoded record without one has 0.
const (
	IRIBegin    IRIType = 1
	IRIEnd      IRIType = 2
	IRIContinue IRIType = 3
	IRIReport   IRIType = 4
)

// Direction is PayloadDirection.
type Direction uint8

// The directions. DirAbsent is none of ETSI's: the field is not there.
const (
	DirFromTarget    Direction = 0
	DirToTarget      Direction = 1
	DirIndeterminate Direction = 2
	DirCombined      Direction = 3
	DirNotApplicable Direction = 4
	DirAbsent        Direction = 255
)

// Qualifier says what a time is the time of (TimeStampQualifier).
type Qualifier uint8

// The qualifiers. A decoded PDU without one has QualUnknown.
const (
	QualUnknown            Qualifier = 0
	QualTimeOfInterception Qualifier = 1
	QualTimeOfMediation    Qualifier = 2
	QualTimeOfAggregation  Qualifier = 3
)

// FrameType says which headers a media packet still has (TS 102 232-5 clause 5.5).
type FrameType uint8

// The frame types. FrameAbsent is none of ETSI's: an older element did not say.
const (
	FrameIP            FrameType = 0 // all headers
	FrameUDP           FrameType = 1 // without the IP header
	FrameRTP           FrameType = 2 // without IP and UDP headers
	FrameAudio         FrameType = 3 // without any
	FrameTCP           FrameType = 4 // without the IP header
	FrameArtificialRTP FrameType = 5 // the RTP header is made up
	FrameUDPTL         FrameType = 6 // without IP and UDP headers
	FrameMSRP          FrameType = 7 // without IP and TCP headers
	FrameAbsent        FrameType = 255
)

// TimeFormat says in which of its two fields a time is sent (TS 102 232-1 clause 5.2.6).
type TimeFormat uint8

// The formats: microSecondTimeStamp, and timeStamp for old facilities, which is a
// GeneralizedTime in UTC with six decimals.
const (
	TimeMicro       TimeFormat = 0
	TimeGeneralized TimeFormat = 1
)

// TRI is a message of the link, by the tag of its alternative in TRIPayload.
type TRI uint8

// The messages.
const (
	TRIIntegrityCheck    TRI = 0
	TRITest              TRI = 1
	TRIPadding           TRI = 2
	TRIKeepalive         TRI = 3
	TRIKeepaliveResponse TRI = 4
	TRIFirstSegment      TRI = 5
	TRILastSegment       TRI = 6
	TRICINReset          TRI = 7
	TRIOperatorMessage   TRI = 8
	TRIOptionRequest     TRI = 9
	TRIOptionResponse    TRI = 10
	TRIOptionComplete    TRI = 11
	TRIPDUAckRequest     TRI = 12
	TRIPDUAckResponse    TRI = 13
)

// HashAlgorithm is the digest of an integrity check.
type HashAlgorithm uint8

// The digests. ETSI keeps SHA-1 for migration only.
const (
	HashSHA1   HashAlgorithm = 1
	HashSHA256 HashAlgorithm = 2
	HashSHA384 HashAlgorithm = 3
	HashSHA512 HashAlgorithm = 4
)

// New begins a digest; nil = one that does not count any more, or none of ETSI's.
func (h HashAlgorithm) New() hash.Hash {
	switch h {
	case HashSHA256:
		return sha256.New()
	case HashSHA384:
		return sha512.New384()
	case HashSHA512:
		return sha512.New()
	case HashSHA1:
	}
	return nil
}

// SigAlgorithm is the signature of an integrity check.
type SigAlgorithm uint8

// The signatures. ETSI keeps DSA for migration only.
const (
	SigDSA   SigAlgorithm = 1
	SigECDSA SigAlgorithm = 2
	SigEdDSA SigAlgorithm = 3
)

// HI1Kind is the alternative of HI1-Operation.
type HI1Kind uint8

// The notifications.
const (
	HI1Activated   HI1Kind = 1
	HI1Deactivated HI1Kind = 2
	HI1Modified    HI1Kind = 3
	HI1Alarm       HI1Kind = 4
)

// EncryptionType is the cipher of an encryptionContainer.
type EncryptionType uint8

// The ciphers that a Sealer knows.
const (
	EncNone   EncryptionType = 1
	EncAES192 EncryptionType = 3
	EncAES256 EncryptionType = 4
)

// PayloadType says to which part of TS 102 232 an encrypted payload belongs
// (EncryptedPayloadType).
type PayloadType uint8

// The parts that a Sealer writes. A decoded container without one has 0.
const (
	PayloadTypeUnknown PayloadType = 1
	PayloadTypePart5   PayloadType = 5
	PayloadTypePart1   PayloadType = 8
)

// Payload is the alternative of a PDU's payload.
type Payload uint8

// The alternatives. PayloadOther is one that Decode does not show: payloads of other
// parts of TS 102 232 or of 3GPP, HI4, national HI1. Raw has its octets.
const (
	PayloadIRI Payload = iota + 1
	PayloadCC
	PayloadTRI
	PayloadHI1
	PayloadEncrypted
	PayloadOther
)
