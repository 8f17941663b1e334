// Package pki makes and loads the keys and self-signed certificates of one
// deployment: API server, X1 between ADMF and gateway, people's client
// certificates. Peers are pinned by fingerprint, so no certificate authority
// stands between them.
//
// Private keys are written with mode 0600 and never leave their file otherwise.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Spec says what a certificate is for.
type Spec struct {
	CommonName string   // shown to people; never an identity of a target
	Names      []string // DNS names and IP addresses of a server; empty for a client
	URI        string   // SAN URI, such as the ETSI X1 identifier binding; empty = none
	Days       int      // validity; default 825
}

const (
	defaultDays = 825
	certFile    = ".crt"
	keyFile     = ".key"
)

// Fingerprint is the lower-case hexadecimal SHA-256 of a DER certificate, by which
// every peer is pinned.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// LoadOrCreate returns the pair NAME.crt and NAME.key in dir, made now if neither
// is there. One without the other is an error: a key is never replaced silently.
func LoadOrCreate(dir, name string, spec Spec) (tls.Certificate, error) {
	crt, key := filepath.Join(dir, name+certFile), filepath.Join(dir, name+keyFile)
	_, errCrt := os.Stat(crt)
	_, errKey := os.Stat(key)
	if errors.Is(errCrt, fs.ErrNotExist) && errors.Is(errKey, fs.ErrNotExist) {
		if err := Create(crt, key, spec); err != nil {
			return tls.Certificate{}, err
		}
	}
	return Load(crt, key)
}

// Load reads a PEM certificate and key and parses the leaf.
func Load(crt, key string) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(crt, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load certificate %s: %w", crt, err)
	}
	return pair, nil
}

// Create writes a new P-256 key and its self-signed certificate to the two files,
// which must not exist.
func Create(crt, key string, spec Spec) error {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	der, err := selfSign(priv, spec)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	if err := writeNew(key, "PRIVATE KEY", pkcs8, 0o600); err != nil {
		return err
	}
	return writeNew(crt, "CERTIFICATE", der, 0o644)
}

func selfSign(priv *ecdsa.PrivateKey, spec Spec) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	days := spec.Days
	if days == 0 {
		days = defaultDays
	}
	now := time.Now()
	cert := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: spec.CommonName, Organization: []string{"ligate"}},
		NotBefore:             now.Add(-5 * time.Minute), // peers' clocks differ a little
		NotAfter:              now.AddDate(0, 0, days),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range spec.Names {
		if ip := net.ParseIP(name); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else {
			cert.DNSNames = append(cert.DNSNames, name)
		}
	}
	if spec.URI != "" {
		uri, err := url.Parse(spec.URI)
		if err != nil {
			return nil, fmt.Errorf("certificate URI: %w", err)
		}
		cert.URIs = []*url.URL{uri}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &priv.PublicKey, priv)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return der, nil
}

func writeNew(path, kind string, der []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make folder for %s: %w", kind, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	if err := errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	return nil
}

// Secret returns the n random octets in the file, made now if it is not there.
func Secret(path string, n int) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		if len(b) != n {
			return nil, fmt.Errorf("secret %s: want %d octets", filepath.Base(path), n)
		}
		return b, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	b = make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b, Keep(path, b)
}

// Keep writes a new secret file with mode 0600 and syncs it.
func Keep(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make secrets folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	_, werr := f.Write(b)
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	return nil
}
