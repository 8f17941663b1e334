package deliver

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/evidence/open"
	"github.com/ligate/ligate/mediation/evidence/segment"
)

const (
	manyGaps = 100  // stretches of missing numbers that end a file
	maxGaps  = 1000 // that one file names: a comment has at most 65535 octets
)

// dropSession is what is collected of one session for its next file.
type dropSession struct {
	liid li.LIID
	cin  li.CIN
	mark dropMark

	seen        [2]bool   // what came of the kind before is known: IRI and CC
	next        [2]uint32 // number that comes next
	iri         []segment.IRIRecord
	cc          []segment.CCRecord
	first, last time.Time // of the records
	gaps        []gap     // numbers that did not come, for the next file and those behind it
	octets      int
	told        int // octets that grown has told of
	messages    []*dropMessage
	since       time.Time // when the first record came
	heard       time.Time // when the last one came
	ended       time.Time // when the end of the call came; zero = it did not
	over        bool      // nothing more comes
}

// gap is consecutive numbers of IRI (0) or CC (1) that did not come: from first up to
// before next.
type gap struct {
	kind        int
	first, next uint32
}

func (g gap) String() string {
	return fmt.Sprintf("%s %d to %d", [2]string{"IRI", "CC"}[g.kind], g.first, g.next-1)
}

func sessionOf(mark dropMark, now time.Time) *dropSession {
	return &dropSession{
		mark: mark, heard: now, next: [2]uint32{mark.FromIRI, mark.FromCC},
		seen: [2]bool{mark.FromIRI > 0 || mark.ToIRI > 0, mark.FromCC > 0 || mark.ToCC > 0},
	}
}

// add collects records. It reports whether any of them is not in a file yet: then the
// message must wait.
func (s *dropSession) add(kind segment.Kind, records []segment.Record, now time.Time) (waits bool) {
	k, from := 0, &s.mark.FromIRI
	if kind == segment.KindCC {
		k, from = 1, &s.mark.FromCC
	}
	for _, r := range records {
		seq := seqOf(r)
		switch {
		case !s.seen[k]:
			*from = seq
			s.gap(k, 0, seq)
		case seq < s.next[k]: // it came before
			waits = waits || seq >= *from
			continue
		default:
			s.gap(k, s.next[k], seq)
		}
		s.collect(r, now)
		s.seen[k], s.next[k], waits = true, seq+1, true
	}
	return waits
}

// gap notes that the numbers from first up to before next did not come, if there are any.
func (s *dropSession) gap(k int, first, next uint32) {
	if first < next {
		s.gaps = append(s.gaps, gap{k, first, next})
	}
}

// end learns up to which numbers the session goes. It reports whether that is to be
// told in a file.
func (s *dropSession) end(next [2]uint32, now time.Time) (waits bool) {
	for k, n := range next {
		if s.next[k] < n {
			s.gap(k, s.next[k], n)
			s.seen[k], s.next[k] = true, n
		}
	}
	s.ended, s.over = now, true
	return len(s.gaps) > 0
}

// empty reports whether there is nothing for a file.
func (s *dropSession) empty() bool { return s.octets == 0 && (!s.over || len(s.gaps) == 0) }

func seqOf(r segment.Record) uint32 {
	if r.IRI != nil {
		return r.IRI.Seq
	}
	return r.CC.Seq
}

func (s *dropSession) collect(r segment.Record, now time.Time) {
	if s.octets == 0 {
		s.since, s.first, s.last = now, r.Time(), r.Time()
	}
	if at := r.Time(); at.Before(s.first) {
		s.first = at
	} else if at.After(s.last) {
		s.last = at
	}
	s.octets += recordBytes(r)
	if r.CC != nil {
		s.cc = append(s.cc, *r.CC)
		return
	}
	s.iri = append(s.iri, *r.IRI)
	if r.IRI.Type == "end" {
		s.ended = now
	}
}

// grown is how many octets more, or fewer, are collected than when it was last asked.
func (s *dropSession) grown() int {
	n := s.octets - s.told
	s.told = s.octets
	return n
}

// begin settles where the next file ends, unless that was settled before.
func (s *dropSession) begin() {
	if !s.mark.Writing {
		s.mark.Writing, s.mark.ToIRI, s.mark.ToCC = true, s.next[0], s.next[1]
	}
}

// reached reports whether everything came that the file is to hold.
func (s *dropSession) reached() bool {
	return s.next[0] >= s.mark.ToIRI && s.next[1] >= s.mark.ToCC
}

// file writes the session's file, unless it is there: it appears whole or not at all.
func (s *dropSession) file(d Drop, folder string, seal func([]byte) ([]byte, error)) error {
	name := mac(d.Key, "file", s.liid, s.cin, s.mark.FromIRI, s.mark.FromCC)
	path := filepath.Join(folder, name+dropName)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	var out bytes.Buffer
	iri, cc := s.part()
	if err := open.Capture(&out, d.Version, s.comment(len(iri), len(cc)), iri, cc); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	sealed, err := seal(out.Bytes())
	if err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	return place(filepath.Join(d.Dir, dropWork, name), path, sealed)
}

// part is the records of the file that is being written.
func (s *dropSession) part() (iri []segment.IRIRecord, cc []segment.CCRecord) {
	return s.iri[:below(s.iri, s.mark.ToIRI)], s.cc[:below(s.cc, s.mark.ToCC)]
}

// below counts the records whose numbers are below a bound; numbers ascend.
func below[T segment.IRIRecord | segment.CCRecord](all []T, bound uint32) int {
	for i := range all {
		var seq uint32
		switch r := any(&all[i]).(type) {
		case *segment.IRIRecord:
			seq = r.Seq
		case *segment.CCRecord:
			seq = r.Seq
		}
		if seq >= bound {
			return i
		}
	}
	return len(all)
}

// comment is what the section header of the capture says. It is inside the seal.
func (s *dropSession) comment(iri, cc int) string {
	text := fmt.Sprintf("LIID %s, CIN %d", s.liid, s.cin)
	if iri > 0 {
		text += fmt.Sprintf(", IRI %d to %d", s.mark.FromIRI, s.mark.ToIRI-1)
	}
	if cc > 0 {
		text += fmt.Sprintf(", CC %d to %d", s.mark.FromCC, s.mark.ToCC-1)
	}
	gaps, _ := s.divide()
	more := max(0, len(gaps)-maxGaps)
	var names []string
	for _, g := range gaps[:len(gaps)-more] {
		names = append(names, g.String())
	}
	if more > 0 {
		names = append(names, fmt.Sprintf("and %d more stretches up to %s", more, gaps[len(gaps)-1]))
	}
	if len(names) > 0 {
		text += "; in earlier files or, where the buffer was full, in the sealed store only: " + strings.Join(names, ", ")
	}
	return text + "."
}

// divide returns what is missing in the file that is being written, and behind it.
func (s *dropSession) divide() (in, behind []gap) {
	to := [2]uint32{s.mark.ToIRI, s.mark.ToCC}
	for _, g := range s.gaps {
		if g.first < to[g.kind] {
			in = append(in, gap{g.kind, g.first, min(g.next, to[g.kind])})
		}
		if g.next > to[g.kind] {
			behind = append(behind, gap{g.kind, max(g.first, to[g.kind]), g.next})
		}
	}
	return in, behind
}

// written forgets what is in the file and returns the messages of which nothing is
// left. What goes beyond the file, as after a crash, keeps them all.
func (s *dropSession) written() []*dropMessage {
	iri, cc := s.part()
	restIRI, restCC := s.iri[len(iri):], s.cc[len(cc):]
	_, behind := s.divide()
	s.mark = dropMark{FromIRI: s.mark.ToIRI, FromCC: s.mark.ToCC}
	s.iri, s.cc, s.gaps, s.octets = nil, nil, behind, 0
	now := s.heard
	if len(restIRI)+len(restCC) == 0 && !s.over {
		s.ended = time.Time{}
	}
	for i := range restIRI {
		s.collect(segment.Record{IRI: &restIRI[i]}, now)
	}
	for i := range restCC {
		s.collect(segment.Record{CC: &restCC[i]}, now)
	}
	if s.octets > 0 || len(s.gaps) > 0 {
		return nil
	}
	done := s.messages
	s.messages = nil
	return done
}
