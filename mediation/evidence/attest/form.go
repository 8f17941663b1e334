package attest

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
)

// The form of a signature as Sign writes it (RFC 5652 clause 5.1): without optional
// parts, one certificate, one signer.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}
	signedData struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      struct{ Type asn1.ObjectIdentifier }
		Certificates asn1.RawValue // [0] IMPLICIT, holds the certificate
		Signers      []signerInfo  `asn1:"set"`
	}
	signerInfo struct {
		Version   int
		Signer    issuerSerial
		Digest    pkix.AlgorithmIdentifier
		Attrs     asn1.RawValue // [0] IMPLICIT, signed
		Algorithm pkix.AlgorithmIdentifier
		Signature []byte
	}
	issuerSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
)

// canonical reports whether a signature has the one form. What the signature itself
// does not cover must so be what it was: other software overlooks much of it.
func canonical(signature []byte, cert *x509.Certificate) bool {
	var c contentInfo
	if rest, err := asn1.Unmarshal(signature, &c); err != nil || len(rest) > 0 {
		return false
	}
	again, err := asn1.Marshal(c)
	if err != nil || !bytes.Equal(again, signature) {
		return false
	}
	d := c.Content
	if !c.Type.Equal(oid(1, 2, 840, 113549, 1, 7, 2)) || d.Version != 1 || !d.Content.Type.Equal(oid(1, 2, 840, 113549, 1, 7, 1)) ||
		len(d.Digests) != 1 || len(d.Signers) != 1 || !isSHA256(d.Digests[0]) {
		return false
	}
	s := d.Signers[0]
	return d.Certificates.Class == asn1.ClassContextSpecific && d.Certificates.Tag == 0 && d.Certificates.IsCompound && bytes.Equal(d.Certificates.Bytes, cert.Raw) &&
		s.Version == 1 && bytes.Equal(s.Signer.Issuer.FullBytes, cert.RawIssuer) && s.Signer.Serial.Cmp(cert.SerialNumber) == 0 &&
		isSHA256(s.Digest) && s.Attrs.Class == asn1.ClassContextSpecific && s.Attrs.Tag == 0 && s.Attrs.IsCompound && signs(s.Algorithm, cert) && signed(s, cert)
}

// signed checks the signature over the attributes' very octets, tagged as a set (RFC
// 5652 clause 5.4).
func signed(s signerInfo, cert *x509.Certificate) bool {
	attrs := bytes.Clone(s.Attrs.FullBytes)
	attrs[0] = asn1.TagSet | 0x20
	algorithm := x509.ECDSAWithSHA256
	if cert.PublicKeyAlgorithm == x509.RSA {
		algorithm = x509.SHA256WithRSA
	}
	return cert.CheckSignature(algorithm, attrs, s.Signature) == nil
}

func isSHA256(a pkix.AlgorithmIdentifier) bool {
	return a.Algorithm.Equal(oid(2, 16, 840, 1, 101, 3, 4, 2, 1)) && bare(a)
}

// signs reports whether an algorithm is the one for the key, with SHA-256.
func signs(a pkix.AlgorithmIdentifier, cert *x509.Certificate) bool {
	switch cert.PublicKeyAlgorithm {
	case x509.ECDSA:
		return bare(a) && a.Algorithm.Equal(oid(1, 2, 840, 10045, 4, 3, 2))
	case x509.RSA:
		return bare(a) && (a.Algorithm.Equal(oid(1, 2, 840, 113549, 1, 1, 11)) || a.Algorithm.Equal(oid(1, 2, 840, 113549, 1, 1, 1)))
	case x509.UnknownPublicKeyAlgorithm, x509.DSA, x509.Ed25519:
	}
	return false
}

// bare reports whether an algorithm has no parameters, or NULL.
func bare(a pkix.AlgorithmIdentifier) bool {
	return len(a.Parameters.FullBytes) == 0 || bytes.Equal(a.Parameters.FullBytes, asn1.NullBytes)
}

func oid(arcs ...int) asn1.ObjectIdentifier { return arcs }
