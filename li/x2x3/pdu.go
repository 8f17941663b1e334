package x2x3

import (
	"net/netip"
	"time"

	"github.com/ligate/ligate/li"
)

// Type is the PDU type of TS 103 221-2 clause 5.2.2.
type Type uint16

// The PDU types.
const (
	X2 Type = iota + 1
	X3
	Keepalive
	KeepaliveAck
)

// Direction is the payload direction of TS 103 221-2 clause 5.2.6.
type Direction uint16

// The payload directions. DirectionKeepalive stands in keep-alives only.
const (
	DirectionKeepalive Direction = iota
	DirectionUnknown
	ToTarget
	FromTarget
	DirectionSeveral
	NotApplicable
)

// PDU is one X2 or X3 PDU. Payload, Event and the octets of Extra alias the input
// after decoding.
type PDU struct {
	Type        Type
	Format      Format
	Direction   Direction
	XID         li.XID
	Correlation uint64 // one call of one Task; 0 = not correlated

	Sequence    uint32         // attribute 8; per (XID, Correlation), X2 and X3 apart, from 0
	HasSequence bool           // whether attribute 8 is there
	Time        time.Time      // attribute 9, time of interception, UTC; zero = absent
	NFID        string         // attribute 6, the X1 neIdentifier; empty = absent
	Src, Dst    netip.AddrPort // attributes 10-15, network layer of the payload; zero, or port 0, = absent
	Event       []byte         // X2, attribute 4 (proprietary): a sipevent.Event where the sender is ours
	Decrypted   bool           // X3, attribute 4: the packet came encrypted and stands here decrypted

	Extra *Extra // what our own PDUs do not have; nil = none of it

	Payload []byte
}

// Extra holds the attributes that our own network elements do not send. An empty
// field is an absent attribute.
type Extra struct {
	TS1022321   []byte // attribute 1: defined by TS 102 232-1
	TS33128     []byte // attribute 2: defined by 3GPP TS 33.128
	TS33108     []byte // attribute 3: defined by 3GPP TS 33.108
	Proprietary []byte // attribute 4 of an X3 PDU, unless it is our mark of decryption

	DID        string // attribute 5, domain
	IPID       string // attribute 7, interception point
	IPProtocol uint8  // attribute 16

	Matched      []string // attribute 17: the XML inside the X1 TargetIdentifier that matched
	Other        []string // attribute 18: of other identifiers of the target
	MIMEType     string   // attribute 19
	MIMEEncoding string   // attribute 20

	Additional []AdditionalXID // attribute 21: other Tasks that the payload belongs to
	SDP        []byte          // attribute 22, session description, UTF-8
}

// AdditionalXID names one more Task to which a PDU's payload belongs, and the PDU's
// place among those of that Task.
type AdditionalXID struct {
	XID         li.XID
	Correlation uint64
	Sequence    uint32
	HasSequence bool
}
