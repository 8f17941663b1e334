package x2x3

// Format is the payload format of TS 103 221-2 clause 5.4.
type Format uint16

// The payload formats.
const (
	FormatKeepalive     Format = iota // no payload
	FormatTS1022321                   // defined by TS 102 232-1
	FormatTS33128                     // defined by 3GPP TS 33.128
	FormatTS33108                     // defined by 3GPP TS 33.108
	FormatProprietary                 //
	FormatIPv4                        // a packet
	FormatIPv6                        // a packet
	FormatEthernet                    // a frame
	FormatRTP                         // a packet, without the datagram that carried it
	FormatSIP                         // a message
	FormatDHCP                        // a message
	FormatRADIUS                      // a packet
	FormatGTPU                        // a message
	FormatMSRP                        // a message
	FormatEPSIRIContent               // EpsIRIContent of 3GPP TS 33.108
	FormatMIME                        // attributes 19 and 20 say of what type
	FormatUnstructured                // 3GPP unstructured data
	FormatPSPDUPayload                // PS-PDU.Payload of TS 102 232-1
)

// Carries reports whether PDUs of the type may have the format (clause 5.4, table).
func (t Type) Carries(f Format) bool {
	switch f {
	case FormatKeepalive:
		return t == Keepalive || t == KeepaliveAck
	case FormatTS1022321, FormatTS33128, FormatTS33108, FormatProprietary, FormatIPv4, FormatIPv6, FormatMIME, FormatPSPDUPayload:
		return t == X2 || t == X3
	case FormatSIP, FormatDHCP, FormatRADIUS, FormatEPSIRIContent:
		return t == X2
	case FormatEthernet, FormatRTP, FormatGTPU, FormatMSRP, FormatUnstructured:
		return t == X3
	}
	return false
}
