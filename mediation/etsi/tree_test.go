package etsi_test

import (
	"crypto/md5"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/mediation/etsi"
)

// A PDU as the schema sees it: the values that Erlang's codec gives for it, and their
// text, as ps_pdu:show/1 writes it.
type (
	object map[string]any // SEQUENCE by the names of its members
	tuple  []any          // a CHOICE with its alternative, an object identifier
	list   []any          // SEQUENCE OF
	atom   string         // ENUMERATED, names of alternatives
)

func show(b *strings.Builder, v any) {
	switch v := v.(type) {
	case object:
		b.WriteByte('{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(k + "=")
			show(b, v[k])
		}
		b.WriteByte('}')
	case tuple:
		showAll(b, '(', v, ')')
	case list:
		showAll(b, '[', v, ']')
	case string:
		codes := make(list, len(v))
		for i := range len(v) {
			codes[i] = int(v[i])
		}
		showAll(b, '[', codes, ']')
	case atom:
		b.WriteString(string(v))
	case []byte:
		if len(v) <= 32 {
			fmt.Fprintf(b, "<%X>", v)
		} else {
			fmt.Fprintf(b, "<%d:%X>", len(v), md5.Sum(v))
		}
	case int:
		b.WriteString(strconv.Itoa(v))
	case uint32:
		b.WriteString(strconv.FormatUint(uint64(v), 10))
	case uint64:
		b.WriteString(strconv.FormatUint(v, 10))
	default:
		panic("a value that the schema does not have")
	}
}

func showAll(b *strings.Builder, first byte, all []any, last byte) {
	b.WriteByte(first)
	for i, v := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		show(b, v)
	}
	b.WriteByte(last)
}

// line is the text of the PS-PDU that p describes.
func line(p *etsi.PDU, payload tuple) string {
	var b strings.Builder
	show(&b, object{"pSHeader": header(p), "payload": payload})
	return b.String()
}

func qualifier(q etsi.Qualifier) atom {
	return []atom{"unknown", "timeOfInterception", "timeOfMediation", "timeOfAggregation"}[q]
}

func header(p *etsi.PDU) object {
	network := object{"operatorIdentifier": []byte(p.Operator)}
	if p.Element != "" {
		network["networkElementIdentifier"] = []byte(p.Element)
	}
	communication := object{"networkIdentifier": network}
	if p.HasCIN {
		communication["communicationIdentityNumber"] = p.CIN
	}
	if p.DeliveryCountry != "" {
		communication["deliveryCountryCode"] = p.DeliveryCountry
	}
	h := object{
		"li-psDomainId":                tuple{0, 4, 0, 2, 2, 5, 1, int(p.Version)},
		"lawfulInterceptionIdentifier": []byte(p.LIID),
		"authorizationCountryCode":     p.AuthCountry,
		"communicationIdentifier":      communication,
		"sequenceNumber":               p.Seq,
		"timeStampQualifier":           qualifier(p.Qualifier),
	}
	if p.PointID != "" {
		h["interceptionPointID"] = p.PointID
	}
	if p.Times == etsi.TimeGeneralized {
		h["timeStamp"] = generalized(p.Time)
	} else {
		h["microSecondTimeStamp"] = object{"seconds": uint64(p.Time.Unix()), "microSeconds": p.Time.Nanosecond() / 1000}
	}
	return h
}

func generalized(at time.Time) string { return at.UTC().Format("20060102150405.000000Z") }

func direction(into object, member string, d etsi.Direction) {
	if d != etsi.DirAbsent {
		into[member] = []atom{"fromTarget", "toTarget", "indeterminate", "combined", "notapplicable"}[d]
	}
}

// payload is the Payload that p describes.
func payload(p *etsi.PDU) tuple {
	switch {
	case p.What == etsi.PayloadIRI:
		r := &p.IRIs[0]
		one := object{
			"iRIType":     []atom{"", "iRI-Begin", "iRI-End", "iRI-Continue", "iRI-Report"}[r.Type],
			"iRIContents": tuple{atom("iPMMIRI"), object{"iPMMIRIObjId": tuple{5, 5, 17, 1}, "iPMMIRIContents": contents(r)}},
		}
		direction(one, "payloadDirection", r.Direction)
		return tuple{atom("iRIPayloadSequence"), list{one}}
	case p.What == etsi.PayloadCC:
		c := &p.CCs[0]
		one := object{"cCContents": tuple{atom("iPMMCC"), ipmmcc(c)}}
		direction(one, "payloadDirection", c.Direction)
		return tuple{atom("cCPayloadSequence"), list{one}}
	case p.What == etsi.PayloadHI1:
		return tuple{atom("hI1-Operation"), notification(p.HI1)}
	default:
		return tuple{atom("tRIPayload"), link(p)}
	}
}

func contents(r *etsi.IRI) tuple {
	name := atom([]string{"sIPMessage", "originalIPMMMessage", "xCAPMessage", "iRIOnlyRTPPacket"}[r.Form])
	if r.IRIOnly && r.Form <= etsi.FormOriginal {
		name = []atom{"iRIOnlySIPMessage", "iRIOnlyOriginalIPMMMessage"}[r.Form]
	}
	if r.Form != etsi.FormSIP {
		return tuple{name, r.Packet}
	}
	return tuple{name, object{
		"iPSourceAddress": ipAddress(r.Src), "iPDestinationAddress": ipAddress(r.Dst), "sIPContent": r.SIP,
	}}
}

func ipAddress(a netip.Addr) object {
	o := object{"iP-type": atom("iPV4"), "iP-value": tuple{atom("iPBinaryAddress"), a.AsSlice()}, "iP-assignment": atom("notKnown")}
	if a.Is6() {
		o["iP-type"], o["iPv6PrefixLength"] = atom("iPV6"), 128
	}
	return o
}

func ipmmcc(c *etsi.CC) object {
	o := object{"iPMMCCObjId": tuple{5, 5, 17, 2}, "mMCCContents": c.Packet, "frameType": []atom{
		"ipFrame", "udpFrame", "rtpFrame", "audioFrame", "tcpFrame", "artificialRtpFrame", "udptlFrame", "msrpFrame",
	}[c.Frame]}
	if len(c.StreamID) > 0 {
		o["streamIdentifier"] = c.StreamID
	}
	if c.UDPTL {
		o["mMCCprotocol"] = atom("uDPTL")
	}
	if c.MSRP {
		o["mMCCprotocol"] = atom("mSRP")
	}
	return o
}

func notification(h *etsi.HI1) tuple {
	name := []atom{"", "liActivated", "liDeactivated", "liModified", "alarms-indicator"}[h.What]
	o := object{"timeStamp": tuple{atom("localTime"), object{
		"generalizedTime": generalized(h.At), "winterSummerIndication": atom("notProvided"),
	}}}
	if h.LIID != "" {
		o["lawfulInterceptionIdentifier"] = []byte(h.LIID)
	}
	if h.Text != "" {
		o["target-Information"] = []byte(h.Text)
	}
	if h.What == etsi.HI1Alarm {
		o["alarm-information"] = []byte(h.Text)
		delete(o, "target-Information")
	}
	return tuple{name, o}
}

func link(p *etsi.PDU) tuple {
	options := func(yes bool) list {
		if yes {
			return list{tuple{atom("pDUAcknowledgement"), atom("NULL")}}
		}
		return list{}
	}
	switch p.TRI {
	case etsi.TRIIntegrityCheck:
		return tuple{atom("integrityCheck"), check(p.Integrity)}
	case etsi.TRIOperatorMessage:
		priority := atom("informational")
		if p.MessageIsError {
			priority = "error"
		}
		return tuple{atom("operatorLeaMessage"), object{"messagePriority": priority, "message": []byte(p.Message)}}
	case etsi.TRIOptionRequest:
		return tuple{atom("optionRequest"), object{"requestedOptions": options(p.PDUAckRequested)}}
	case etsi.TRIOptionResponse:
		return tuple{atom("optionResponse"), object{
			"acceptedOptions": options(p.PDUAckAccepted), "declinedOptions": options(!p.PDUAckAccepted),
		}}
	default:
		return tuple{[]atom{
			"", "testPDU", "", "keep-alive", "keep-aliveResponse", "firstSegmentFlag", "lastSegmentFlag", "cINReset",
			"", "", "", "optionComplete", "pDUAcknowledgementRequest", "pDUAcknowledgementResponse",
		}[p.TRI], atom("NULL")}
	}
}

func check(i *etsi.Integrity) object {
	included := list{}
	for _, n := range i.Included {
		included = append(included, n)
	}
	o := object{
		"includedSequenceNumbers": included, "checkType": atom("hash"), "checkValue": i.Value,
		"dataType": []atom{"", "iRI", "cC"}[i.Of],
	}
	if i.Signature {
		o["checkType"] = atom("signature")
	}
	if i.Hash != 0 {
		o["hashAlgorithm"] = []atom{"", "sHA-1", "sHA-256", "sHA-384", "sHA-512"}[i.Hash]
	}
	if i.Sig != 0 {
		o["signatureAlgorithm"] = []atom{"", "dSA", "eCDSA", "edDSA"}[i.Sig]
	}
	return o
}

// sealedPayload is the payload of a PDU that was sealed: with EncNone, its contents too.
func sealedPayload(e *etsi.Encrypted, counter uint64, inside tuple) tuple {
	o := object{
		"encryptionType":       map[etsi.EncryptionType]atom{etsi.EncNone: "none", etsi.EncAES192: "aES-192-CBC", etsi.EncAES256: "aES-256-CBC"}[e.Type],
		"encryptedPayloadType": map[etsi.PayloadType]atom{etsi.PayloadTypePart1: "part1", etsi.PayloadTypePart5: "part5"}[e.PayloadType],
		"encryptedPayload":     e.Octets,
	}
	if e.Type == etsi.EncNone {
		o["encryptedPayload"] = object{"byteCounter": counter, "payload": inside}
	}
	return tuple{atom("encryptionContainer"), o}
}

// The text of a value that was read off Erlang's own output.
func TestShow(t *testing.T) {
	t.Parallel()
	p := etsi.PDU{Version: 43, Stream: call(), Seq: 7, Time: at(), Qualifier: etsi.QualTimeOfInterception, TRI: etsi.TRIKeepalive}
	got := line(&p, payload(&p))
	want := "{pSHeader={authorizationCountryCode=[83,69],communicationIdentifier={communicationIdentityNumber=1," +
		"deliveryCountryCode=[83,69],networkIdentifier={networkElementIdentifier=<4E452D31>,operatorIdentifier=<4F502D31>}}," +
		"lawfulInterceptionIdentifier=<4C4949442D30303031>,li-psDomainId=(0,4,0,2,2,5,1,43)," +
		"microSecondTimeStamp={microSeconds=123456,seconds=1700000000},sequenceNumber=7,timeStampQualifier=timeOfInterception}," +
		"payload=(tRIPayload,(keep-alive,NULL))}"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
