package lemf

import (
	"crypto"
	"crypto/ecdsa"
	_ "crypto/sha256" // integrity checks
	_ "crypto/sha512" // integrity checks
	"fmt"

	"github.com/ligate/ligate/mediation/etsi"
)

// check judges an integrity check of TS 102 232-1 clause 7.2: a hash over whole
// PS-PDUs in the order of their numbers, or a signature over such hash PDUs.
func (s *session) check(p *etsi.PDU, signer *ecdsa.PublicKey, shown func([]byte) ([]byte, error)) (fault string, err error) {
	if _, err := s.checks.Write(p.Raw); err != nil {
		return "", fmt.Errorf("lemf: %w", err)
	}
	if p.Integrity.Signature {
		return s.signature(p, signer), nil
	}
	if _, known := s.hashes[p.Seq]; known {
		return "", nil // it came again
	}
	h, ok := hashes()[p.Integrity.Hash]
	if !ok {
		return "an integrity check of an algorithm that does not count any more", nil
	}
	digest := h.New()
	for _, seq := range p.Integrity.Included {
		raw, err := s.read(seq)
		if err != nil {
			return "", err
		}
		if raw == nil {
			return fmt.Sprintf("integrity check %d covers number %d, which did not come", p.Seq, seq), nil
		}
		if raw, err = shown(raw); err != nil {
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

func (s *session) signature(p *etsi.PDU, signer *ecdsa.PublicKey) (fault string) {
	h, ok := hashes()[p.Integrity.Hash]
	if !ok || p.Integrity.Sig != etsi.SigECDSA {
		return "a signature of an algorithm that does not count here"
	}
	if signer == nil {
		return ""
	}
	digest, again := h.New(), true
	for _, number := range p.Integrity.Included {
		hash, known := s.hashes[number]
		if !known {
			return fmt.Sprintf("signature %d covers integrity check %d, which did not come", p.Seq, number)
		}
		digest.Write(hash.raw)
		again = again && hash.signed
	}
	if !ecdsa.VerifyASN1(signer, digest.Sum(nil), p.Integrity.Value) {
		return fmt.Sprintf("signature %d is wrong", p.Seq)
	}
	for _, number := range p.Integrity.Included {
		hash := s.hashes[number]
		hash.signed = true
		s.hashes[number] = hash
	}
	if !again {
		s.counts.Signed += uint64(len(p.Integrity.Included))
	}
	return ""
}

func hashes() map[etsi.HashAlgorithm]crypto.Hash {
	return map[etsi.HashAlgorithm]crypto.Hash{etsi.HashSHA256: crypto.SHA256, etsi.HashSHA384: crypto.SHA384, etsi.HashSHA512: crypto.SHA512}
}
