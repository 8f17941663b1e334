package lemf

import (
	"crypto/ecdsa"
	"fmt"

	"github.com/ligate/ligate/mediation/etsi"
)

// check keeps an integrity check and judges it.
func (s *session) check(p *etsi.PDU) (fault string, err error) {
	if _, err := s.checks.Write(p.Raw); err != nil {
		return "", fmt.Errorf("lemf: %w", err)
	}
	return s.judge(p)
}

// judge holds an integrity check of TS 102 232-1 clause 7.2 against what came: a hash
// over whole PS-PDUs in the order of their numbers, or a signature over such hash
// PDUs.
func (s *session) judge(p *etsi.PDU) (fault string, err error) {
	if p.Integrity.Signature {
		return s.signature(p), nil
	}
	if _, known := s.hashes[p.Seq]; known {
		return "", nil // it came again
	}
	digest := p.Integrity.Hash.New()
	if digest == nil {
		return "an integrity check of an algorithm that does not count any more", nil
	}
	for _, seq := range p.Integrity.Included {
		raw, err := s.read(seq)
		if err != nil {
			return "", err
		}
		if raw == nil {
			return fmt.Sprintf("integrity check %d covers number %d, which did not come", p.Seq, seq), nil
		}
		if raw, err = s.shown(raw); err != nil {
			return fmt.Sprintf("integrity check %d: number %d does not open", p.Seq, seq), nil
		}
		digest.Write(raw)
	}
	right := string(digest.Sum(nil)) == string(p.Integrity.Value)
	s.hashes[p.Seq] = hashPDU{raw: append([]byte(nil), p.Raw...)}
	if !right {
		return fmt.Sprintf("integrity check %d is wrong: a PDU was changed, removed, added or reordered", p.Seq), nil
	}
	s.counts.Checks++
	s.counts.Checked += uint64(len(p.Integrity.Included))
	return "", nil
}

func (s *session) signature(p *etsi.PDU) (fault string) {
	digest := p.Integrity.Hash.New()
	if digest == nil || p.Integrity.Sig != etsi.SigECDSA {
		return "a signature of an algorithm that does not count here"
	}
	if s.signer == nil {
		return ""
	}
	for _, number := range p.Integrity.Included {
		hash, known := s.hashes[number]
		if !known {
			return fmt.Sprintf("signature %d covers integrity check %d, which did not come", p.Seq, number)
		}
		digest.Write(hash.raw)
	}
	if !ecdsa.VerifyASN1(s.signer, digest.Sum(nil), p.Integrity.Value) {
		return fmt.Sprintf("signature %d is wrong", p.Seq)
	}
	for _, number := range p.Integrity.Included {
		if hash := s.hashes[number]; !hash.signed { // else it came again
			hash.signed = true
			s.hashes[number] = hash
			s.counts.Signed++
		}
	}
	return ""
}
