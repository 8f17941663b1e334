package api_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/mediation/evidence/attest"
	"github.com/ligate/ligate/warrant"
)

// A session has a bundle once it has ended, for its own agency, and each fetch of it
// is on the log and in the custody trail.
func TestSealedBundle(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	octets := o.withSession()
	const path = "/handover/v1/intercepts/L-1/sessions/1/bundle"
	if a := o.do("ina", "GET", path, ""); a.status != 404 {
		t.Errorf("before the end: %d %s", a.status, a.body)
	}
	o.endSession()
	if a := o.do("otto", "GET", path, ""); a.status != 404 {
		t.Errorf("another agency: %d %s", a.status, a.body)
	}
	whole := o.bundle(path)
	if !bytes.Equal(whole["segments/000001.age"], octets) {
		t.Error("the sealed segment is not in it")
	}
	statement := o.bundle(path + "?segments=none")
	if len(statement) != 4 || !bytes.Equal(statement[attest.FileManifest], whole[attest.FileManifest]) {
		t.Errorf("%d files without segments", len(statement))
	}
	if _, err := attest.Verify(whole[attest.FileManifest], whole[attest.FileSignature]); err != nil {
		t.Error(err)
	}
	proved, err := attest.VerifyCustody(statement[attest.FileManifest], statement[attest.FileProof], statement[attest.FileCustody], o.verifier)
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range proved.Accesses {
		actions = append(actions, e.Action)
	}
	want := "session.open session.chain bundle.fetch session.close bundle.fetch bundle.fetch"
	if got := strings.Join(actions, " "); got != want && got != strings.Replace(want, "session.chain ", "", 1) {
		t.Errorf("custody %s", got)
	}
	if a := o.do("ina", "GET", path+"?segments=some", ""); a.status != 422 {
		t.Errorf("segments=some: %d", a.status)
	}
}

func (o *office) endSession() {
	o.t.Helper()
	p, err := o.evidence.Session(o.t.Context(), warrant.TaskInfo{XID: o.xid(), LIID: "L-1", AgencyID: warrant.AgencyID(o.agencies["Police"])}, 7, time.Now())
	o.must(err)
	next := *p
	next.EndedAt, next.EndCause = time.Now().UTC(), "bye"
	o.must(o.evidence.Close(o.t.Context(), p, next, nil))
}

func (o *office) bundle(path string) map[string][]byte {
	o.t.Helper()
	a := o.do("ina", "GET", path, "")
	if a.status != 200 || a.header.Get("Content-Type") != "application/zip" {
		o.t.Fatalf("%d %s", a.status, a.body)
	}
	z, err := zip.NewReader(bytes.NewReader(a.body), int64(len(a.body)))
	o.must(err)
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		o.must(err)
		files[f.Name], err = io.ReadAll(r)
		o.must(err)
	}
	return files
}
