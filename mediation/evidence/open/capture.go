package open

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ligate/ligate/li/x2x3"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

const (
	maxDatagram = 65000 // octets of one SIP message in call.pcapng
	sipPort     = 5060
)

// frame is one packet of call.pcapng.
type frame struct {
	at       time.Time
	packet   []byte
	comments []string
}

// writeCapture writes call.pcapng, with LIID and CIN in the section's comment.
func writeCapture(w io.Writer, c *content, version string) error {
	s := c.doc.Session
	return Capture(w, version, fmt.Sprintf("LIID %s, CIN %d.", s.LIID, s.CIN), c.iri, c.cc)
}

// Capture writes signalling and media in the order of their times as a pcapng of raw
// IP packets. comment stands in the section's header.
func Capture(w io.Writer, version, comment string, iri []segment.IRIRecord, cc []segment.CCRecord) error {
	frames := make([]frame, 0, len(iri)+len(cc))
	for _, r := range iri {
		f, err := sipFrame(r)
		if err != nil {
			return err
		}
		frames = append(frames, f)
	}
	for _, r := range cc {
		f, err := mediaFrame(r)
		if err != nil {
			return err
		}
		frames = append(frames, f)
	}
	slices.SortStableFunc(frames, func(a, b frame) int { return a.at.Compare(b.at) })
	pcap, err := pcapgo.NewNgWriterInterface(w,
		pcapgo.NgInterface{Name: "ligate", LinkType: layers.LinkTypeRaw},
		pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
			Application: "ligate " + version, Comment: comment + " SIP messages are shown as UDP datagrams, whatever carried them.",
		}})
	if err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	for _, f := range frames {
		info := gopacket.CaptureInfo{Timestamp: f.at, CaptureLength: len(f.packet), Length: len(f.packet)}
		if err := pcap.WritePacketWithOptions(info, f.packet, pcapgo.NgPacketOptions{Comments: f.comments}); err != nil {
			return fmt.Errorf("write capture: %w", err)
		}
	}
	if err := pcap.Flush(); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

// sipFrame rebuilds a datagram around a SIP message.
func sipFrame(r segment.IRIRecord) (frame, error) {
	f := frame{at: r.Time}
	msg := r.SIP
	if len(msg) == 0 {
		f.comments = append(f.comments, "no message: the network element found that the session was over ("+r.Method+")")
	}
	if len(msg) > maxDatagram {
		f.comments = append(f.comments, fmt.Sprintf("SIP message of %d octets, cut to %d: iri.jsonl holds all of it", len(msg), maxDatagram))
		msg = msg[:maxDatagram]
	}
	src, dst, comment := addresses(r.Src, r.Dst)
	if comment != "" {
		f.comments = append(f.comments, comment)
	}
	packet, _, err := x2x3.AppendDatagram(nil, src, dst, msg)
	if err != nil {
		return frame{}, fmt.Errorf("rebuild datagram: %w", err)
	}
	f.packet = packet
	return f, nil
}

// addresses fills in what the tap did not know, and says so.
func addresses(src, dst netip.AddrPort) (netip.AddrPort, netip.AddrPort, string) {
	if src.IsValid() && dst.IsValid() && src.Addr().Unmap().Is4() == dst.Addr().Unmap().Is4() {
		return src, dst, ""
	}
	none := netip.AddrPortFrom(netip.IPv4Unspecified(), sipPort)
	return none, none, "network addresses were not recorded, or not both of one IP version: those shown stand in for them"
}

// mediaFrame passes the packet on as it is; a bare RTP payload gets a datagram.
func mediaFrame(r segment.CCRecord) (frame, error) {
	if r.Format == x2x3.FormatIPv4 || r.Format == x2x3.FormatIPv6 {
		return frame{at: r.Time, packet: r.Packet}, nil
	}
	src, dst, comment := addresses(netip.AddrPort{}, netip.AddrPort{})
	packet, _, err := x2x3.AppendDatagram(nil, src, dst, r.Packet[:min(len(r.Packet), maxDatagram)])
	if err != nil {
		return frame{}, fmt.Errorf("rebuild datagram: %w", err)
	}
	return frame{r.Time, packet, []string{comment}}, nil
}
