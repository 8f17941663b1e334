package attest

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/digitorus/pkcs7"
)

// signingCertificate is SigningCertificateV2 (RFC 5035) with the default hash, SHA-256.
type signingCertificate struct{ Certs []certID }

type certID struct{ Hash []byte }

func oidSigningCertificate() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
}

// Sign makes a detached CMS signature over content, with the certificate in it.
func Sign(own tls.Certificate, content []byte) ([]byte, error) {
	if len(own.Certificate) == 0 {
		return nil, errors.New("attest: a certificate and its key are needed")
	}
	leaf, err := x509.ParseCertificate(own.Certificate[0])
	if err != nil {
		return nil, errors.New("attest: the certificate is malformed")
	}
	data, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, fmt.Errorf("attest: sign: %w", err)
	}
	data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	sum := sha256.Sum256(leaf.Raw)
	err = data.AddSigner(leaf, own.PrivateKey, pkcs7.SignerInfoConfig{ExtraSignedAttributes: []pkcs7.Attribute{
		{Type: oidSigningCertificate(), Value: signingCertificate{[]certID{{sum[:]}}}},
	}})
	if err != nil {
		return nil, fmt.Errorf("attest: sign: %w", err)
	}
	data.Detach()
	signature, err := data.Finish()
	if err != nil {
		return nil, fmt.Errorf("attest: sign: %w", err)
	}
	return signature, nil
}

// Verify checks a detached CMS signature that Sign made over content and returns the
// signer's certificate. No octet of it can change unseen. Whether that is the right one is the caller's to know.
func Verify(content, signature []byte) (cert *x509.Certificate, err error) {
	defer func() { // the parser is not ours, the octets are anybody's
		if recover() != nil {
			cert, err = nil, ErrSignature
		}
	}()
	p, err := pkcs7.Parse(signature)
	if err != nil || len(p.Content) > 0 {
		return nil, ErrSignature
	}
	p.Content = content
	cert = p.GetOnlySigner()
	if cert == nil || !canonical(signature, cert) || p.Verify() != nil {
		return nil, ErrSignature
	}
	var named signingCertificate
	sum := sha256.Sum256(cert.Raw)
	if p.UnmarshalSignedAttribute(oidSigningCertificate(), &named) != nil || len(named.Certs) != 1 || !bytes.Equal(named.Certs[0].Hash, sum[:]) {
		return nil, ErrSignature
	}
	return cert, nil
}
