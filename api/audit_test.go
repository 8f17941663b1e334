package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/internal/pki"
)

// alias is how one of an agency's people stands on the log.
func (o *office) alias(person string) string {
	return audit.AgencyActor(o.agencies["Police"], pki.Fingerprint(o.certs[person].Certificate[0]))
}

// overHTTP reads tiles over the API.
type overHTTP struct{ o *office }

func (h overHTTP) Height() int { return 8 }

func (h overHTTP) ReadTiles(all []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range all {
		a := h.o.do("aud", "GET", "/audit/v1/log/tile/"+tile.Path()[len("tile/8/"):], "")
		if a.status != 200 {
			return nil, fmt.Errorf("%s: %d", tile.Path(), a.status)
		}
		out = append(out, a.body)
	}
	return out, nil
}

func (h overHTTP) SaveTiles([]tlog.Tile, [][]byte) {}

// A monitor reads the log by C2SP tlog-tiles, and an agency is told the same
// checkpoint with every answer.
func TestTilesAndCheckpointsOverTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.approved("L-1")
	o.want(o.do("aud", "GET", "/audit/v1/log/checkpoint", ""), 404)
	if told := o.want(o.do("ina", "GET", "/handover/v1/intercepts", ""), 200).header.Get("Ligate-Checkpoint"); told != "" {
		t.Errorf("a checkpoint before the first: %q", told)
	}
	o.want(o.do("aud", "GET", "/audit/v1/checkpoint", ""), 200)
	text := o.want(o.do("aud", "GET", "/audit/v1/log/checkpoint", ""), 200).body
	for _, path := range []string{"/handover/v1/intercepts", "/handover/v1/intercepts/L-1", "/handover/v1/intercepts/nobody"} {
		told, err := base64.StdEncoding.DecodeString(o.do("ina", "GET", path, "").header.Get("Ligate-Checkpoint"))
		if err != nil || string(told) != string(text) {
			t.Errorf("%s tells another checkpoint: %v", path, err)
		}
	}
	if told := o.do("bob", "GET", "/handover/v1/intercepts", "").header.Get("Ligate-Checkpoint"); told != "" {
		t.Error("who is no agency was told a checkpoint")
	}
	verifier, err := note.NewVerifier(o.verifier)
	o.must(err)
	size, root, err := audit.OpenCheckpoint(text, verifier)
	o.must(err)
	proof, err := tlog.ProveRecord(size, 0, tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, overHTTP{o}))
	o.must(err)
	bundle := o.want(o.do("aud", "GET", fmt.Sprintf("/audit/v1/log/tile/entries/000.p/%d", size), ""), 200).body
	if err := tlog.CheckRecord(proof, size, root, 0, tlog.RecordHash(bundle[2:34])); err != nil {
		t.Error(err)
	}
	o.want(o.do("aud", "GET", "/audit/v1/log/tile/0/999", ""), 404)
	o.want(o.do("ina", "GET", fmt.Sprintf("/handover/v1/log/consistency?from=1&to=%d", size), ""), 200)
	o.want(o.do("ina", "GET", "/handover/v1/log/consistency?from=1&to=99999", ""), 400)
}

// An auditor sees pseudonyms. A name takes a reason and a second person, is shown to
// these two for an hour, and every step of it is on the log.
func TestUnmaskTakesTwo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.approved("L-1")
	o.do("ina", "GET", "/handover/v1/intercepts/L-1", "")
	id := o.approved("L-2")
	for _, path := range []string{"/admin/v1/warrants/" + id + "/history", "/admin/v1/people", "/admin/v1/agencies", "/audit/v1/entries?limit=1000", "/audit/v1/export"} {
		if body := o.want(o.do("aud", "GET", path, ""), 200).body; bytes.Contains(body, []byte(`"ann"`)) || bytes.Contains(body, []byte("ina\"")) {
			t.Errorf("%s names people to the auditor", path)
		}
	}
	for pseudonym, name := range map[string]string{o.ids["ann"]: "ann", o.alias("ina"): "ina"} {
		asked := o.want(o.do("aud", "POST", "/audit/v1/unmask", fmt.Sprintf(`{"pseudonym": %q, "reason": "complaint 7"}`, pseudonym)), 201)
		path := "/audit/v1/unmask/" + asked.field("id")
		if got := o.want(o.do("aud", "GET", path, ""), 200).field("name"); got != "" {
			t.Errorf("a name before the confirmation: %q", got)
		}
		if a := o.want(o.do("aud", "POST", path+"/confirm", ""), 403); !bytes.Contains(a.body, []byte("four-eyes")) {
			t.Errorf("who asked confirmed: %s", a.body)
		}
		o.want(o.do("ann", "POST", path+"/confirm", ""), 403)
		o.want(o.do("bob", "POST", path+"/confirm", ""), 200)
		o.want(o.do("bob", "POST", path+"/confirm", ""), 409)
		for _, who := range []string{"aud", "bob"} {
			if got := o.want(o.do(who, "GET", path, ""), 200).field("name"); got != name {
				t.Errorf("%s sees %q, want %q", who, got, name)
			}
		}
	}
	asked := o.want(o.do("aud", "POST", "/audit/v1/unmask", fmt.Sprintf(`{"pseudonym": %q, "reason": "x"}`, o.ids["ann"])), 201)
	path := "/audit/v1/unmask/" + asked.field("id")
	o.want(o.do("bob", "GET", path, ""), 404) // neither asked nor confirmed
	o.want(o.do("bob", "POST", path+"/confirm", ""), 200)
	o.ahead.Store(int64(61 * time.Minute))
	if got := o.want(o.do("aud", "GET", path, ""), 200).field("name"); got != "" {
		t.Errorf("a name after the end: %q", got)
	}
	o.want(o.do("aud", "POST", "/audit/v1/unmask", `{"pseudonym": "nobody", "reason": "x"}`), 404)
	for action, want := range map[string]int{"audit.unmask.request": 3, "audit.unmask.confirm": 5, "audit.unmask.read": 4} {
		if got := len(o.entries(action)); got != want {
			t.Errorf("%d entries %s, want %d", got, action, want)
		}
	}
}

// A readable record goes when two people say so; proofs and verification hold.
func TestErasureTakesTwo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.approved("L-1")
	body := `{"entries": [1, 2], "reason": "retention of § 17 ended"}`
	asked := o.want(o.do("ann", "POST", "/audit/v1/erasures", body), 201)
	path := "/audit/v1/erasures/" + asked.field("id") + "/confirm"
	own := o.want(o.do("bob", "POST", "/audit/v1/erasures", `{"entries": [3], "reason": "x"}`), 201)
	if a := o.want(o.do("bob", "POST", "/audit/v1/erasures/"+own.field("id")+"/confirm", ""), 403); !bytes.Contains(a.body, []byte("four-eyes")) {
		t.Errorf("who asked confirmed: %s", a.body)
	}
	o.want(o.do("ann", "POST", path, ""), 403)
	o.want(o.do("bob", "POST", path, ""), 200)
	o.want(o.do("bob", "POST", path, ""), 409)
	again := o.want(o.do("ann", "POST", "/audit/v1/erasures", body), 201)
	o.want(o.do("bob", "POST", "/audit/v1/erasures/"+again.field("id")+"/confirm", ""), 409) // gone already
	report, err := audit.Verify(bytes.NewReader(o.want(o.do("aud", "GET", "/audit/v1/export", ""), 200).body), o.verifier)
	if err != nil || !report.OK() || report.Erased != 2 {
		t.Errorf("report %+v, %v", report, err)
	}
	said := o.entries(audit.ActionErase)
	if len(said) != 1 || said[0].Entry.Actor != o.ids["bob"] || said[0].Entry.Detail["asked_by"] != o.ids["ann"] || said[0].Entry.Detail["entries"] != "1-2" {
		t.Errorf("entry of the erasure: %+v", said)
	}
	o.want(o.do("aud", "GET", fmt.Sprintf("/audit/v1/proof/inclusion?index=1&size=%d", report.Entries), ""), 200)
}

// Reports say what happened; the comparison finds what contradicts.
func TestReportsAndComparison(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.withSession()
	o.do("ina", "GET", "/handover/v1/intercepts/L-1/sessions/1/cc/1", "")
	o.do("otto", "GET", "/handover/v1/intercepts/L-1", "")
	rows := func(query string) (out []map[string]string) {
		for line := range bytes.Lines(o.want(o.do("aud", "GET", "/audit/v1/reports/"+query, ""), 200).body) {
			row := map[string]string{}
			o.must(json.Unmarshal(line, &row))
			out = append(out, row)
		}
		return out
	}
	by := rows("accesses-by-person?what=segment.fetch")
	if len(by) != 1 || by[0]["actor"] != o.alias("ina") || by[0]["count"] != "1" || by[0]["refused"] != "0" {
		t.Errorf("accesses by person: %v", by)
	}
	if of := rows("accesses-by-warrant?warrant=L-1&what=segment.fetch"); len(of) != 1 || of[0]["warrant"] != "L-1" {
		t.Errorf("accesses by warrant: %v", of)
	}
	if refused := rows("refused?what=intercept.read"); len(refused) != 1 || !strings.HasPrefix(refused[0]["actor"], o.agencies["Customs"]+"/") {
		t.Errorf("refused: %v", refused)
	}
	for _, name := range []string{"outside-hours", "late-ended", "unacknowledged", "retention-overdue"} {
		a := o.want(o.do("aud", "GET", "/audit/v1/reports/"+name+"?format=csv", ""), 200)
		if all, err := csv.NewReader(bytes.NewReader(a.body)).ReadAll(); err != nil || len(all) == 0 || len(all[0]) < 5 {
			t.Errorf("%s as CSV: %v, %v", name, all, err)
		}
	}
	o.want(o.do("aud", "GET", "/audit/v1/reports/nothing", ""), 422)
	o.want(o.do("aud", "GET", "/audit/v1/reports/refused?from=2000-01-01T00:00:00Z", ""), 422)
	var c struct {
		Items []struct {
			Warrant  string
			Sessions int
			CC       int64 `json:"cc_records"`
			StoredCC int64 `json:"cc_stored"`
			Findings []string
		}
	}
	o.must(json.Unmarshal(o.want(o.do("aud", "GET", "/audit/v1/comparison?warrant=L-1", ""), 200).body, &c))
	// The session was put there by hand, under a warrant that begins in 2098.
	if len(c.Items) != 1 || c.Items[0].Sessions != 1 || c.Items[0].CC != c.Items[0].StoredCC || c.Items[0].CC == 0 ||
		!strings.Contains(strings.Join(c.Items[0].Findings, "\n"), "sessions without any interval in which tapping was allowed") {
		t.Errorf("comparison %+v", c)
	}
}
