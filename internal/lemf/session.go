package lemf

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/mediation/etsi"
)

// Key names one counter of PS-PDUs.
type Key struct {
	LIID li.LIID
	CIN  uint32
	Kind etsi.Kind
}

// Counts is what was seen of one Key.
type Counts struct {
	PDUs       uint64 // kept
	Duplicates uint64 // came again, the same
	Missing    uint64 // numbers that did not come
	Checked    uint64 // PDUs that a right integrity check covers
	Checks     uint64 // right integrity checks
	Signed     uint64 // of those, with a right signature
	Ended      bool   // the DF said that nothing more comes
}

// place is where a PDU stands in its file; size 0 = it did not come.
type place struct {
	at   int64
	size int
}

// session is the PDUs of one Key, in one file.
type session struct {
	verifier

	key    Key
	counts Counts
	file   *os.File
	checks *os.File           // integrity checks
	size   int64              // with what is pending
	pend   []byte             // written at the latest when it is synced
	places []place            // by number
	hashes map[uint32]hashPDU // integrity checks, by number, until signed
	ended  time.Time          // when the DF said last that nothing more comes
	judged bool               // after that end
}

type hashPDU struct {
	raw    []byte
	signed bool // a right signature was counted
}

// maxJump is how far a number may be ahead: more is another counter.
const maxJump = 1 << 24

const flushBytes = 64 << 10

var errFile = errors.New("lemf: a file of an earlier run is no sequence of PS-PDUs")

func kindName(k etsi.Kind) string {
	if k == etsi.KindIRI {
		return "iri"
	}
	return "cc"
}

// folder is where a Key's files stand. The LIID is in hexadecimal: it may hold any
// printable character.
func folder(dir string, k Key) string {
	return filepath.Join(dir, fmt.Sprintf("liid-%x", string(k.LIID)), fmt.Sprint(k.CIN))
}

// verifier is what integrity checks are held against.
type verifier struct {
	signer *ecdsa.PublicKey // nil = signatures are not checked
	shown  func([]byte) ([]byte, error)
}

// openSession opens the files of a Key and reads what an earlier run left.
func openSession(dir string, k Key, v verifier) (*session, error) {
	path := folder(dir, k)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("lemf: %w", err)
	}
	s := &session{key: k, verifier: v, hashes: map[uint32]hashPDU{}}
	var err error
	if s.file, err = os.OpenFile(filepath.Join(path, kindName(k.Kind)+".ber"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("lemf: %w", err)
	}
	if s.checks, err = os.OpenFile(filepath.Join(path, kindName(k.Kind)+".check.ber"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("lemf: %w", err), s.file.Close())
	}
	if err := errors.Join(s.recover(), s.recoverChecks()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// recover indexes the file and cuts off a torn end.
func (s *session) recover() error {
	err := whole(s.file, func(p *etsi.PDU) error {
		if int64(p.Seq) > int64(len(s.places))+maxJump {
			return errFile
		}
		s.index(p.Seq, len(p.Raw))
		s.counts.PDUs++
		return nil
	})
	for _, p := range s.places {
		if p.size == 0 {
			s.counts.Missing++
		}
	}
	return err
}

// recoverChecks reads the integrity checks that came, and cuts off a torn end: a
// signature may come whose hash an earlier run took. Faults were told then.
func (s *session) recoverChecks() error {
	return whole(s.checks, func(p *etsi.PDU) error {
		if p.Integrity == nil {
			return errFile
		}
		_, err := s.judge(p)
		return err
	})
}

// whole reads the PDUs of a file and cuts off a torn end.
func whole(file *os.File, each func(*etsi.PDU) error) error {
	b, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("lemf: %w", err)
	}
	size := int64(0)
	for len(b) > 0 {
		n, err := etsi.Frame(b)
		if errors.Is(err, etsi.ErrShort) {
			break
		}
		if err != nil {
			return errFile
		}
		p, _, err := etsi.Decode(b[:n])
		if err != nil {
			return errFile
		}
		if err := each(&p); err != nil {
			return err
		}
		size, b = size+int64(n), b[n:]
	}
	if err := file.Truncate(size); err != nil {
		return fmt.Errorf("lemf: %w", err)
	}
	return nil
}

// index notes that the next octets of the file are the PDU of that number.
func (s *session) index(seq uint32, size int) {
	for uint32(len(s.places)) <= seq { //nolint:gosec // at most maxJump beyond
		s.places = append(s.places, place{})
	}
	s.places[seq] = place{s.size, size}
	s.size += int64(size)
}

// put keeps a PDU unless it is there. fault says what is wrong with its number.
func (s *session) put(seq uint32, raw []byte) (fresh bool, fault string, err error) {
	next := uint32(len(s.places)) //nolint:gosec // numbers are 32 bits
	switch {
	case seq >= next && seq-next >= maxJump:
		return false, fmt.Sprintf("number %d is far from %d", seq, next), nil
	case seq > next:
		s.counts.Missing += uint64(seq - next)
		fault = fmt.Sprintf("numbers %d to %d did not come", next, seq-1)
	case seq < next && s.places[seq].size > 0:
		return false, s.again(s.places[seq], raw), nil
	case seq < next:
		s.counts.Missing--
		fault = fmt.Sprintf("number %d came late", seq)
	}
	s.pend = append(s.pend, raw...)
	s.index(seq, len(raw))
	s.counts.PDUs++
	if len(s.pend) >= flushBytes {
		err = s.flush()
	}
	return true, fault, err
}

// flush writes what is pending.
func (s *session) flush() error {
	if len(s.pend) == 0 {
		return nil
	}
	if _, err := s.file.WriteAt(s.pend, s.size-int64(len(s.pend))); err != nil {
		return fmt.Errorf("lemf: %w", err)
	}
	s.pend = s.pend[:0]
	return nil
}

// again judges a PDU that is there already.
func (s *session) again(p place, raw []byte) (fault string) {
	s.counts.Duplicates++
	before := make([]byte, p.size)
	if s.flush() != nil {
		return "a PDU could not be written"
	}
	if _, err := s.file.ReadAt(before, p.at); err != nil || !bytes.Equal(before, raw) {
		return "a PDU came again with other octets"
	}
	return ""
}

// read returns the PDU of that number; nil = it did not come.
func (s *session) read(seq uint32) ([]byte, error) {
	if seq >= uint32(len(s.places)) || s.places[seq].size == 0 { //nolint:gosec // numbers are 32 bits
		return nil, nil
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	b := make([]byte, s.places[seq].size)
	if _, err := s.file.ReadAt(b, s.places[seq].at); err != nil {
		return nil, fmt.Errorf("lemf: %w", err)
	}
	return b, nil
}

func (s *session) close() error { return errors.Join(s.flush(), s.file.Close(), s.checks.Close()) }
