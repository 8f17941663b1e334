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

// Format is the payload format of TS 103 221-2 clause 5.4.
type Format uint16

// The payload formats that we emit or read.
const (
	FormatKeepalive   Format = 0
	FormatProprietary Format = 4
	FormatIPv4        Format = 5
	FormatIPv6        Format = 6
	FormatRTP         Format = 8
	FormatSIP         Format = 9
)

// PDU is one X2 or X3 PDU. Payload and Event alias the input after DecodePDU.
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
	Src, Dst    netip.AddrPort // attributes 10-15, network layer of the SIP message; zero = absent
	Event       []byte         // X2, attribute 4 (proprietary): a sipevent.Event, see li/sipevent
	Decrypted   bool           // X3, attribute 4: the packet came encrypted and stands here decrypted

	Payload []byte
}
