package bundle_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// tsa is a time stamp authority: openssl behind HTTP.
type tsa struct {
	url, cert string
}

const tsaConfig = `[tsa]
default_tsa = t
[t]
dir = .
serial = $dir/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
ess_cert_id_chain = no
tsa_name = no
ordering = no
[ext]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = dn
[dn]
`

func newTSA(t *testing.T) tsa {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"tsa.cnf": tsaConfig, "serial": "01\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := run(t, dir, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.pem", "-days", "30",
		"-subj", "/CN=Test TSA", "-config", "tsa.cnf", "-extensions", "ext")
	if err != nil {
		t.Fatal(out)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "query"), b, 0o600)
		}
		if err == nil {
			_, err = run(t, dir, "openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", "reply")
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		reply, _ := os.ReadFile(filepath.Join(dir, "reply"))
		_, _ = w.Write(reply)
	}))
	t.Cleanup(s.Close)
	return tsa{s.URL, filepath.Join(dir, "tsa.pem")}
}
