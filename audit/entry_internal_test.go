package audit

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func FuzzParseCanonical(f *testing.F) {
	f.Add(Entry{Time: time.UnixMicro(1), Actor: "a", Action: "b", Result: "c", Detail: map[string]string{"k": "v", "l": ""}}.canonical())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseCanonical(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.canonical(), b) {
			t.Fatal("two encodings of one entry")
		}
	})
}

func FuzzVerify(f *testing.F) {
	_, verifier, err := NewKey("o")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"header":{"format":"ligate-audit-export/1","origin":"o"}}` + "\n" + `{"record":{"index":0,"entry":null,"salt":null,"commitment":"AAAA"}}`)
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := Verify(strings.NewReader(s), verifier); err == nil && r.Entries > 0 && r.OK() {
			t.Fatal("entries without a signed checkpoint were held to be whole")
		}
	})
}
