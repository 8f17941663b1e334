package bundle

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha1" //nolint:gosec // what RFC 3161 names certificates by
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

const (
	stampTimeout  = 30 * time.Second
	maxStampBytes = 1 << 20
)

// ErrStamp says that the time stamp authority gave nothing that counts.
var ErrStamp = errors.New("bundle: the time stamp authority did not stamp what it was asked to; try again or another one")

// stamp asks the TSA over the hash of content only and returns its whole answer.
func (c Config) stamp(ctx context.Context, content []byte) ([]byte, error) {
	request, err := timestamp.CreateRequest(bytes.NewReader(content), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true})
	if err != nil {
		return nil, fmt.Errorf("time stamp: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stampTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.TSA, bytes.NewReader(request))
	if err != nil {
		return nil, fmt.Errorf("time stamp: %w", err)
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("time stamp: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxStampBytes))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, ErrStamp
	}
	if _, _, err := readStamp(answer, content); err != nil {
		return nil, err
	}
	return answer, nil
}

// readStamp checks that a TSA's answer is a signed stamp of content. Whether the
// authority is one to trust, openssl ts says with its certificate.
func readStamp(answer, content []byte) (at time.Time, by *x509.Certificate, err error) {
	defer func() { // the parser is not ours, the octets are anybody's
		if recover() != nil {
			at, by, err = time.Time{}, nil, ErrStamp
		}
	}()
	t, err := timestamp.ParseResponse(answer)
	sum := sha256.Sum256(content)
	if err != nil || t.HashAlgorithm != crypto.SHA256 || !bytes.Equal(t.HashedMessage, sum[:]) {
		return time.Time{}, nil, ErrStamp
	}
	p, err := pkcs7.Parse(t.RawToken)
	if err != nil {
		return time.Time{}, nil, ErrStamp
	}
	cert := p.GetOnlySigner()
	if cert == nil || !namesCertificate(p, cert) {
		return time.Time{}, nil, ErrStamp
	}
	return t.Time.UTC(), cert, nil
}

// namesCertificate reports whether a token's signed attributes name the certificate,
// as RFC 5816 wants it or, with SHA-1, RFC 3161.
func namesCertificate(p *pkcs7.PKCS7, cert *x509.Certificate) bool {
	type certID struct {
		Hash []byte
		More asn1.RawValue `asn1:"optional"`
	}
	var named struct {
		Certs    []certID
		Policies asn1.RawValue `asn1:"optional"`
	}
	sum, old := sha256.Sum256(cert.Raw), sha1.Sum(cert.Raw) //nolint:gosec // what RFC 3161 has
	attribute, want := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}, sum[:]
	if p.UnmarshalSignedAttribute(attribute, &named) != nil {
		attribute[len(attribute)-1], want = 12, old[:]
		if p.UnmarshalSignedAttribute(attribute, &named) != nil {
			return false
		}
	}
	return len(named.Certs) > 0 && bytes.Equal(named.Certs[0].Hash, want)
}
