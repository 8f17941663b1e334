package api_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/warrant/profile"
	"github.com/ligate/ligate/warrant/review"
)

// One warrant's life under each built-in profile, through the API: what the profile
// allows, what it refuses and in which words, and the records that it asks for.
func TestOneWarrantUnderEachProfile(t *testing.T) {
	t.Parallel()
	for name, basis := range map[string]string{"de": "stpo-100a", "nl": "sv-126m", "uk": "ipa-part2", "us": "title-iii"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			law, err := profile.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			o := newOfficeUnder(t, law)
			s := &lawful{office: o, law: law, basis: basis, from: time.Now().Add(-time.Minute).UTC().Truncate(time.Second)}
			id := s.draftAtTheLimit()
			s.refusals()
			s.provisional()
			s.approveByTwo(id)
			s.certified(id)
			s.kept(id)
			s.reviewed()
		})
	}
}

// lawful is an office under a law.
type lawful struct {
	*office
	law   *profile.Profile
	basis string
	from  time.Time
}

func (s *lawful) end() time.Time {
	b, _ := s.law.LegalBasis(s.basis)
	return b.LongestEnd(s.from, s.law.Location())
}

func (s *lawful) order(liid, basis string, until time.Time, more string) string {
	return fmt.Sprintf(`{"liid": %q, "authority": "Court", "reference": "1", "legal_basis": %q, "agency_id": %q, "targets": ["030 555-001"],
		"scope": "iri+cc", "from": %q, "until": %q%s}`, liid, basis, s.agencies["Police"], s.from.Format(time.RFC3339), until.Format(time.RFC3339), more)
}

func (s *lawful) draftAtTheLimit() (id string) {
	s.t.Helper()
	return s.want(s.do("ann", "POST", "/admin/v1/warrants", s.order("L-1", s.basis, s.end(), "")), 201).field("id")
}

// refusals: the profile says what is wrong.
func (s *lawful) refusals() {
	s.t.Helper()
	b, _ := s.law.LegalBasis(s.basis)
	emergency := strings.Replace(s.order("L-2", s.basis, s.end(), ""), "030 555-001", "sip:"+s.law.Emergency.Numbers[0]+"@example.com", 1)
	for name, tt := range map[string]struct{ body, says string }{
		"a second over":    {s.order("L-2", s.basis, s.end().Add(time.Second), ""), b.Code + " allows " + b.Longest.String()},
		"another's basis":  {s.order("L-2", "100a", s.end(), ""), "legal_basis: want one of the profile " + s.law.Name + ": "},
		"emergency number": {emergency, "emergency number"},
	} {
		a := s.want(s.do("ann", "POST", "/admin/v1/warrants", tt.body), 422)
		if !strings.Contains(a.field("detail"), tt.says) {
			s.t.Errorf("%s: %s, want %q", name, a.body, tt.says)
		}
	}
}

// provisional: who names no deadline gets the profile's, and nobody gets more.
func (s *lawful) provisional() {
	s.t.Helper()
	due, ok := s.law.OriginalDue(s.from)
	if !ok {
		s.t.Fatal("the profile knows no provisional orders")
	}
	a := s.want(s.do("ann", "POST", "/admin/v1/warrants", s.order("L-3", s.basis, s.end(), `, "provisional": true`)), 201)
	if got := a.field("original_due"); got != due.Format(time.RFC3339) {
		s.t.Errorf("the original is due %s, want %s", got, due)
	}
	late := fmt.Sprintf(`, "provisional": true, "original_due": %q`, due.Add(time.Second).Format(time.RFC3339))
	a = s.want(s.do("ann", "POST", "/admin/v1/warrants", s.order("L-4", s.basis, s.end(), late)), 422)
	if !strings.Contains(a.field("detail"), "original_due: "+s.law.Provisional.OriginalDue.String()+" after the start") {
		s.t.Errorf("a later original: %s", a.body)
	}
}

func (s *lawful) approveByTwo(id string) {
	s.t.Helper()
	if s.law.Delivery.Mode == profile.BufferOnly {
		a := s.want(s.post("ann", id, "submit", ""), 422)
		if !strings.Contains(a.field("detail"), "allows no storing until the agency fetches") {
			s.t.Errorf("submitted without a delivery: %s", a.body)
		}
		path := "/admin/v1/agencies/" + s.agencies["Police"] + "/deliveries"
		s.want(s.do("root1", "POST", path, `{"hi2": "127.0.0.1:9", "hi3": "127.0.0.1:10", "operator": "OP-1", "certificate": "`+strings.Repeat("a", 64)+`"}`), 201)
		s.want(s.do("root2", "POST", path+"/1/confirm", ""), 204)
	}
	s.want(s.post("ann", id, "submit", ""), 200)
	retyped := fmt.Sprintf(`{"targets": ["+4930555001"], "until": %q}`, s.end().Format(time.RFC3339))
	s.want(s.post("ann", id, "approve", retyped), 403)
	s.want(s.post("bob", id, "approve", retyped), 200)
	s.must(s.store.Due(s.t.Context(), time.Now()))
}

// certified: the certificate of 47 CFR 1.20004, of a warrant and of a tap without one.
func (s *lawful) certified(id string) {
	s.t.Helper()
	body := fmt.Sprintf(`{"warrant_id": %q, "type": "Title III", "officer": "O. Ficer", "signer": "J. Udge"}`, id)
	s.want(s.do("aud", "POST", "/admin/v1/certifications", body), 403)
	made := s.want(s.do("ann", "POST", "/admin/v1/certifications", body), 201)
	read := s.want(s.do("aud", "GET", "/admin/v1/certifications/"+made.field("id"), ""), 200)
	for _, want := range []string{"47 CFR 1.20004(a)", "Test Telecom", "L-1", aTarget, "with authorization", "still running", "J. Udge", "ann", s.law.Zone.Name} {
		if !strings.Contains(read.field("text"), want) {
			s.t.Errorf("the certificate lacks %q:\n%s", want, read.field("text"))
		}
	}
	without := fmt.Sprintf(`{"type": "other", "type_note": "content", "reference": "INC-1", "numbers": ["+4930555002"], "start": %q}`, s.from.Format(time.RFC3339))
	if a := s.want(s.do("ann", "POST", "/admin/v1/certifications", without), 422); !strings.Contains(a.field("detail"), "circumstances") {
		s.t.Errorf("without authority and circumstances: %s", a.body)
	}
	a := s.want(s.do("ann", "POST", "/admin/v1/certifications", strings.Replace(without, `"type"`, `"circumstances": "found by reconcile", "type"`, 1)), 201)
	if !strings.Contains(a.field("text"), "WITHOUT authorization") {
		s.t.Errorf("without authority: %s", a.field("text"))
	}
}

// kept: what retention the profile asks for, once the tap has ended.
func (s *lawful) kept(id string) {
	s.t.Helper()
	type shown struct {
		TapEnded *time.Time `json:"tap_ended"`
		Items    []struct {
			Kind, Rule, Duty string
			End              *time.Time
		}
	}
	var before, after shown
	s.must(json.Unmarshal(s.want(s.do("aud", "GET", "/admin/v1/warrants/"+id+"/retention", ""), 200).body, &before))
	if before.TapEnded != nil || len(before.Items) != len(s.law.Retention) {
		s.t.Errorf("retention of a running tap: %+v", before)
	}
	s.want(s.post("bob", id, "revoke", `{"reason": "lifted"}`), 200)
	s.must(json.Unmarshal(s.want(s.do("aud", "GET", "/admin/v1/warrants/"+id+"/retention", ""), 200).body, &after))
	for i, r := range after.Items {
		if before.Items[i].End != nil {
			s.t.Errorf("%s is counted while the tap runs", r.Kind)
		}
		want, counted := s.law.RetentionEnd(profile.RecordKind(r.Kind), *after.TapEnded)
		counted = counted && r.Duty == profile.DutyOperator && r.Kind != string(profile.RecordDeletion)
		if counted != (r.End != nil) || counted && !r.End.Equal(want) {
			s.t.Errorf("%s is kept until %v, want %v", r.Kind, r.End, want)
		}
	}
}

// reviewed: a sample that follows from the log is checked, and only then reported.
func (s *lawful) reviewed() {
	s.t.Helper()
	quarter := review.QuarterOf(time.Now(), s.law.Location()).Previous()
	numbers := s.lastQuarter(quarter)
	body := fmt.Sprintf(`{"quarter": %q}`, quarter)
	s.want(s.do("ann", "POST", "/admin/v1/reviews", body), 403)
	s.want(s.do("aud", "POST", "/admin/v1/reviews", fmt.Sprintf(`{"quarter": %q}`, review.QuarterOf(time.Now(), s.law.Location()))), 422)
	var started struct {
		Population, Open int
		Size             int64  `json:"checkpoint_size"`
		Root             string `json:"checkpoint_root"`
		Seed             string
		Sample           []struct{ Entry int64 }
	}
	s.must(json.Unmarshal(s.want(s.do("aud", "POST", "/admin/v1/reviews", body), 201).body, &started))
	root, err := base64.StdEncoding.DecodeString(started.Root)
	s.must(err)
	seed := review.Seed(quarter, started.Size, [32]byte(root))
	always := map[string]bool{numbers[7]: true} // the refused one
	want := review.Sample(seed, numbers, s.law.Review.Share, always)
	var got []string
	for _, e := range started.Sample {
		got = append(got, strconv.FormatInt(e.Entry, 10))
	}
	if started.Population != len(numbers) || started.Seed != hex.EncodeToString(seed[:]) || !slices.Equal(got, want) {
		s.t.Fatalf("drawn: %+v, want %v of %d", started, want, len(numbers))
	}
	s.want(s.do("aud", "POST", "/admin/v1/reviews", body), 409)
	path := "/admin/v1/reviews/" + quarter.String()
	for i, e := range started.Sample {
		s.want(s.do("aud", "POST", path+"/close", ""), 409)
		result := `"agrees"`
		if i == 0 {
			s.want(s.do("aud", "POST", path+"/results", fmt.Sprintf(`{"entry": %d, "result": "differs"}`, e.Entry)), 422)
			result = `"differs", "finding": "no order says so"`
		}
		s.want(s.do("aud", "POST", path+"/results", fmt.Sprintf(`{"entry": %d, "result": %s}`, e.Entry, result)), 201)
		s.want(s.do("aud", "POST", path+"/results", fmt.Sprintf(`{"entry": %d, "result": "agrees"}`, e.Entry)), 409)
	}
	s.want(s.do("aud", "POST", path+"/results", `{"entry": 999999, "result": "agrees"}`), 404)
	closed := s.want(s.do("aud", "POST", path+"/close", ""), 200)
	if report := string(closed.body); !strings.Contains(report, "no order says so") || !strings.Contains(report, quarter.String()) || strings.Contains(report, "555001") {
		s.t.Errorf("report: %s", report)
	}
}

// lastQuarter puts 41 entries of the quarter on the log and gives their numbers; the
// eighth is of something that was refused.
func (s *lawful) lastQuarter(q review.Quarter) (numbers []string) {
	s.t.Helper()
	from, until := q.Bounds(s.law.Location())
	for i := range 43 {
		e := audit.Entry{Time: from.Add(time.Duration(i-1) * time.Hour), Actor: "p", Action: "warrant.read", Result: "done"}
		switch i {
		case 8:
			e.Result = "refused"
		case 42:
			e.Time = until
		}
		n, err := s.log.Record(s.t.Context(), s.pool, e)
		s.must(err)
		if i > 0 && i < 42 {
			numbers = append(numbers, strconv.FormatInt(n, 10))
		}
	}
	return numbers
}
