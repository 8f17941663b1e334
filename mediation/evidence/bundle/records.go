package bundle

import (
	"encoding/csv"
	"fmt"
	"io"
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
			Seq: i.Seq, Time: i.Time, Qualifier: etsi.QualTimeOfInterception, Type: etsi.IRITypeNamed(i.Type), Direction: etsi.DirectionNamed(i.Direction),
			Src: etsi.Address(i.Src.Addr()), Dst: etsi.Address(i.Dst.Addr()), SIP: i.SIP,
		})
		if err == nil {
			_, err = w.Write(b)
		}
		if err != nil {
			return fmt.Errorf("write ps-pdu.ber: %w", err)
		}
	}
	for _, c := range r.CC() {
		cc := etsi.CC{Seq: c.Seq, Time: c.Time, Qualifier: etsi.QualTimeOfInterception, Direction: etsi.DirectionOf(c.Direction), Frame: etsi.FrameIP, Packet: c.Packet}
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
