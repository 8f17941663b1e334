package bundle

import "fmt"

const readmeText = `One intercepted call: %s, CIN %d, from operator %s.
How to check that nothing in this folder was changed, in three ways:

1. With sha256sum alone, in this folder:
     sha256sum -c manifest-sha256.txt
     sha256sum -c tagmanifest-sha256.txt

2. With openssl. The operator's signature; compare the certificate's SHA-256
   fingerprint with the one that the operator gave you by another way:
     openssl cms -verify -binary -inform DER -in operator.p7s -content data/operator-manifest.json -noverify -out /dev/null
     openssl pkcs7 -inform DER -in operator.p7s -print_certs | openssl x509 -noout -fingerprint -sha256
   seal.p7s, if there is one: the signature of the person who opened the call:
     openssl cms -verify -binary -inform DER -in seal.p7s -content tagmanifest-sha256.txt -noverify -out /dev/null
   seal.tsr, if there is one: the time stamp; tsa.pem is the authority's certificate:
     openssl ts -verify -in seal.tsr -data tagmanifest-sha256.txt -CAfile tsa.pem
   data/operator-manifest.json has the SHA-256 of each file in data/segments as
   plain_sha256.

3. With ligate, on the zip file, without any network:
     ligate verify --operator FINGERPRINT ligate-....zip

data/segments, data/ps-pdu.ber and data/call.pcapng are masters: what was copied
at the time. data/call.wav (target left, far party right), data/iri.jsonl and
data/iri.csv are derived from them; data/manifest.json says how, and lists what is
missing. Lost packets are silence of the same length in call.wav.
custody.jsonl is who had the call, from the operator's audit log, each entry with
its proof to the checkpoint in audit.tlog-proof.
`

func (b *bag) readme() []byte {
	s := b.statement.man
	return fmt.Appendf(nil, readmeText, oneLine(string(s.Session.LIID)), s.Session.CIN, oneLine(s.Operator.ID))
}
