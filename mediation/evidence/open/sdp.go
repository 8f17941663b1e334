package open

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/ligate/ligate/mediation/evidence/segment"
)

// The codec names that matter here; others are shown as the SDP spells them.
const (
	pcmu    = "PCMU/8000"
	pcma    = "PCMA/8000"
	unknown = "unknown"

	maxPayloadType = 127
	maxBodyParts   = 16
)

// description is what one SDP body said about audio.
type description struct {
	at        time.Time
	direction string           // of the SIP message that bore it
	codecs    map[uint8]string // payload type to "NAME/rate" or "NAME/rate/channels"
	encrypted bool             // every active audio stream is SRTP
	keys      bool             // and its keys are in the SDP (RFC 4568)
}

// descriptions finds every SDP in the signalling, in the order of time.
func descriptions(iri []segment.IRIRecord) []description {
	var all []description
	for _, r := range iri {
		for _, body := range sdpBodies(r.SIP) {
			d := parseSDP(body)
			d.at, d.direction = r.Time, r.Direction
			all = append(all, d)
		}
	}
	return all
}

// sdpBodies returns the SDP of a SIP message: its body, or parts of a multipart.
func sdpBodies(msg []byte) [][]byte {
	head, body, ok := bytes.Cut(msg, []byte("\r\n\r\n"))
	if !ok || len(body) == 0 {
		return nil
	}
	_, fields, _ := bytes.Cut(head, []byte("\r\n"))
	h, err := textproto.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(fields), strings.NewReader("\r\n\r\n")))).ReadMIMEHeader()
	if err != nil {
		return nil
	}
	kind := h.Get("Content-Type")
	if kind == "" {
		kind = h.Get("C")
	}
	media, params, err := mime.ParseMediaType(kind)
	if err != nil {
		return nil
	}
	if media == "application/sdp" {
		return [][]byte{body}
	}
	if !strings.HasPrefix(media, "multipart/") || params["boundary"] == "" {
		return nil
	}
	var bodies [][]byte
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for range maxBodyParts {
		part, err := parts.NextRawPart()
		if err != nil {
			break
		}
		text, err := io.ReadAll(part)
		if kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); err == nil && kind == "application/sdp" {
			bodies = append(bodies, text)
		}
	}
	return bodies
}

// parseSDP reads the audio streams of a session description line by line. It is
// lenient: evidence is not refused for a phone's bad SDP.
func parseSDP(body []byte) description {
	d := description{codecs: map[uint8]string{}}
	audio, secure, plain := false, 0, 0
	for line := range strings.SplitSeq(string(body), "\n") {
		line = strings.TrimRight(line, "\r")
		if m, ok := strings.CutPrefix(line, "m="); ok {
			f := strings.Fields(m)
			audio = len(f) >= 3 && f[0] == "audio" && f[1] != "0"
			if audio && strings.Contains(f[2], "SAVP") {
				secure++
			} else if audio {
				plain++
			}
			continue
		}
		if !audio {
			continue
		}
		if v, ok := strings.CutPrefix(line, "a=rtpmap:"); ok {
			d.rtpmap(v)
		}
		d.keys = d.keys || strings.HasPrefix(line, "a=crypto:")
	}
	d.encrypted = secure > 0 && plain == 0
	return d
}

// rtpmap reads "8 PCMA/8000" or "96 opus/48000/2" (RFC 8866 clause 6.6). The first
// mapping of a payload type counts.
func (d *description) rtpmap(v string) {
	f := strings.Fields(v)
	if len(f) != 2 {
		return
	}
	pt, err := strconv.ParseUint(f[0], 10, 8)
	if err != nil || pt > maxPayloadType {
		return
	}
	name, rate, ok := strings.Cut(f[1], "/")
	if _, seen := d.codecs[uint8(pt)]; seen || !ok || !printable(f[1]) {
		return
	}
	name = strings.ToUpper(name)
	if name == "PCMU" || name == "PCMA" {
		rate = strings.TrimSuffix(rate, "/1")
	}
	d.codecs[uint8(pt)] = name + "/" + rate
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 64
}

// staticCodec is the table of RFC 3551 clause 6.
func staticCodec(pt uint8) string {
	switch pt {
	case 0:
		return pcmu
	case 3:
		return "GSM/8000"
	case 4:
		return "G723/8000"
	case 8:
		return pcma
	case 9:
		return "G722/8000"
	case 13:
		return "CN/8000"
	case 15:
		return "G728/8000"
	case 18:
		return "G729/8000"
	}
	return unknown
}

// codecs answers what a packet's payload type means at its time.
type codecs struct{ all []description }

// name prefers the SDP of the side that receives the packet, for it chose the
// numbers (RFC 3264 clause 5.1), then the sender's own, then the static table.
func (c codecs) name(direction string, at time.Time, pt uint8) string {
	for _, d := range []string{opposite(direction), direction} {
		if name := c.lookup(d, at, pt); name != "" {
			return name
		}
	}
	return staticCodec(pt)
}

// lookup finds the last mapping before a time or, for media that came before its
// description, the first one after it.
func (c codecs) lookup(direction string, at time.Time, pt uint8) string {
	found := ""
	for _, d := range c.all {
		name := d.codecs[pt]
		if d.direction != direction || name == "" {
			continue
		}
		if d.at.After(at) && found != "" {
			break
		}
		found = name
	}
	return found
}

// encrypted reports whether either side's description in force asks for SRTP, and
// whether the keys are in the signalling.
func (c codecs) encrypted(at time.Time) (yes, keys bool) {
	for _, direction := range []string{fromTarget, toTarget} {
		var last *description
		for i, d := range c.all {
			if d.direction != direction || (last != nil && d.at.After(at)) {
				continue
			}
			last = &c.all[i]
		}
		if last != nil && last.encrypted {
			yes, keys = true, keys || last.keys
		}
	}
	return yes, keys
}

func opposite(direction string) string {
	switch direction {
	case fromTarget:
		return toTarget
	case toTarget:
		return fromTarget
	}
	return direction
}
