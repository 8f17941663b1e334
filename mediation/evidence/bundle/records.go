package bundle

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/etsi"
	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

// country stands where PS-PDUs want one that the sealed records do not tell: ISO 3166
// leaves XX to users.
const country = "XX"

// writePSPDU writes all records as PS-PDUs, signalling first, each kind in order.
func writePSPDU(w io.Writer, r *open.Records, by attest.Operator) error {
	s := r.Session().Session
	enc, err := etsi.NewEncoder(etsi.Stream{
		LIID: s.LIID, AuthCountry: country, Operator: by.ID, Element: by.Element, CIN: uint32(s.CIN), HasCIN: true,
	})
	if err != nil {
		return fmt.Errorf("write ps-pdu.ber: %w", err)
	}
	var b []byte
	for _, i := range r.IRI() {
		b, err = enc.AppendIRI(b[:0], &etsi.IRI{
			Seq: i.Seq, Time: i.Time, Qualifier: etsi.QualTimeOfInterception, Type: iriType(i.Type), Direction: iriDirection(i.Direction),
			Src: known(i.Src.Addr()), Dst: known(i.Dst.Addr()), SIP: i.SIP,
		})
		if err == nil {
			_, err = w.Write(b)
		}
		if err != nil {
			return fmt.Errorf("write ps-pdu.ber: %w", err)
		}
	}
	for _, c := range r.CC() {
		cc := etsi.CC{Seq: c.Seq, Time: c.Time, Qualifier: etsi.QualTimeOfInterception, Direction: ccDirection(c.Direction), Frame: etsi.FrameIP, Packet: c.Packet}
		if c.Format == x2x3.FormatRTP {
			cc.Frame = etsi.FrameRTP
		}
		if b, err = enc.AppendCC(b[:0], &cc); err == nil {
			_, err = w.Write(b)
		}
		if err != nil {
			return fmt.Errorf("write ps-pdu.ber: %w", err)
		}
	}
	return nil
}

// known is 0.0.0.0 for an address that a network element did not tell: the field is
// mandatory.
func known(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return netip.IPv4Unspecified()
	}
	return a.Unmap()
}

func iriType(s string) etsi.IRIType {
	switch s {
	case "begin":
		return etsi.IRIBegin
	case "continue":
		return etsi.IRIContinue
	case "end":
		return etsi.IRIEnd
	}
	return etsi.IRIReport
}

func iriDirection(s string) etsi.Direction {
	switch s {
	case "from_target":
		return etsi.DirFromTarget
	case "to_target":
		return etsi.DirToTarget
	}
	return etsi.DirIndeterminate
}

func ccDirection(d x2x3.Direction) etsi.Direction {
	switch d {
	case x2x3.FromTarget:
		return etsi.DirFromTarget
	case x2x3.ToTarget:
		return etsi.DirToTarget
	case x2x3.DirectionSeveral:
		return etsi.DirCombined
	case x2x3.NotApplicable:
		return etsi.DirNotApplicable
	case x2x3.DirectionKeepalive, x2x3.DirectionUnknown:
	}
	return etsi.DirIndeterminate
}

// writeCSV writes the signalling for spreadsheets. The messages themselves are in
// iri.jsonl.
func writeCSV(w io.Writer, iri []segment.IRIRecord) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"seq", "type", "time", "direction", "source", "destination", "method", "status", "element"}) // Flush tells
	for _, r := range iri {
		status := ""
		if r.Status != 0 {
			status = strconv.Itoa(r.Status)
		}
		_ = c.Write([]string{
			strconv.FormatUint(uint64(r.Seq), 10), r.Type, r.Time.UTC().Format(time.RFC3339Nano), r.Direction,
			r.Src.String(), r.Dst.String(), safe(r.Method), status, safe(r.Element),
		})
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("write iri.csv: %w", err)
	}
	return nil
}

// safe keeps a spreadsheet from taking foreign text for a formula.
func safe(s string) string {
	if s != "" && (s[0] < '0' || s[0] > 'z' || s[0] > '9' && s[0] < 'A') {
		return "'" + s
	}
	return s
}
