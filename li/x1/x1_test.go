package x1_test

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	xidText = "123e4567-e89b-42d3-a456-426614174000"
	txnText = "0b7f0d3e-4a52-4f0c-9b8e-5c2d5a1f6e77"
)

func xid(t testing.TB, s string) li.XID {
	t.Helper()
	x, err := li.ParseXID(s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func target(t testing.TB, s string) li.Identity {
	t.Helper()
	id, err := li.NumberPlan{CountryCode: "49", NationalPrefix: "0"}.ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func header(t testing.TB) x1.Header {
	return x1.Header{
		ADMF: "admf-1", NE: "gw <1> & \"co\"", Version: x1.Version, Transaction: x1.TransactionID(xid(t, txnText)),
		Time: time.Date(2026, 11, 23, 9, 30, 0, 123456000, time.UTC),
	}
}

func iriTask(t testing.TB) li.IRITask {
	return li.IRITask{
		XID:     xid(t, xidText),
		Until:   time.Date(2027, 1, 31, 23, 59, 59, 999999000, time.UTC),
		Targets: []li.Identity{target(t, "030 123456"), target(t, "sip:alice@example.com")},
	}
}

// oddTargets are SIP URIs with characters that XML or the schema's patterns mind.
func oddTargets(t testing.TB) []li.Identity {
	var ids []li.Identity
	for _, s := range []string{
		"sip:a&b'c@example.com", "sip:a|b^c`{d}@example.com", "sip:a@[2001:db8::1]", "sip:a%zz@example.com", "sip:%C3%A4@example.com",
		"sip:a#b?c=d;e@example.com", `sip:a\b@example.com`, "sip:a~!$*()_+,/-.@x-y.example.com", "sip:x@192.0.2.1",
	} {
		ids = append(ids, target(t, s))
	}
	return ids
}

func did(t testing.TB) x1.DID { return x1.DID(xid(t, txnText)) }

func destination(t testing.TB, addr string) x1.Destination {
	t.Helper()
	at, err := x1.Address(addr)
	if err != nil {
		t.Fatal(err)
	}
	return x1.Destination{DID: did(t), Name: "mdf <1>", Delivery: x1.DeliverX2, Addr: at}
}

// status is what an element may say of a Task at most.
func status(t testing.TB) x1.TaskStatus {
	at := header(t).Time
	return x1.TaskStatus{LastIntercept: at, X2: 1234, X3: 5678901, Begun: at.Add(-time.Hour), Unlisted: true}
}

func requests(t testing.TB) map[string]x1.Request {
	odd := iriTask(t)
	odd.Targets = oddTargets(t)
	bodies := map[string]x1.Body{
		"modify":              x1.ModifyTask{Task: iriTask(t)},
		"activate_with_dids":  x1.ActivateTask{Task: iriTask(t), DIDs: []x1.DID{did(t), {1}}},
		"create_destination":  x1.CreateDestination{Destination: destination(t, "192.0.2.7:6543")},
		"create_v6":           x1.CreateDestination{Destination: destination(t, "[2001:db8::7]:6543")},
		"modify_destination":  x1.ModifyDestination{Destination: destination(t, "192.0.2.7:6543")},
		"remove_destination":  x1.RemoveDestination{DID: did(t)},
		"destination_details": x1.GetDestinationDetails{DID: did(t)},
		"deactivate_all":      x1.DeactivateAllTasks{},
		"remove_all":          x1.RemoveAllDestinations{},
		"ne_status":           x1.GetNEStatus{},
		"list_all":            x1.ListAllDetails{},
		"all_tasks":           x1.GetAllTaskDetails{},
		"all_destinations":    x1.GetAllDestinationDetails{},
		"report_destination":  x1.ReportDestinationIssue{DID: did(t), Report: x1.NonTerminatingFault, Code: 9020},
		"report_ne":           x1.ReportNEIssue{Issue: x1.NEAlert, Code: x1.CodeDatabaseCleared},
		"report_ne_plain":     x1.ReportNEIssue{Issue: x1.NEFaultCleared},
		"activate_iri":        x1.ActivateTask{Task: iriTask(t)},
		"activate_content":    x1.ActivateTask{Task: li.ContentTask{IRITask: iriTask(t)}},
		"activate_odd":        x1.ActivateTask{Task: odd},
		"deactivate":          x1.DeactivateTask{XID: xid(t, xidText)},
		"get_task_details":    x1.GetTaskDetails{XID: xid(t, xidText)},
		"get_all_details":     x1.GetAllDetails{},
		"ping":                x1.Ping{},
		"keepalive":           x1.Keepalive{},
		"report":              x1.ReportTaskIssue{XID: xid(t, xidText), Report: x1.ImplicitDeactivation},
		"report_with_code":    x1.ReportTaskIssue{XID: xid(t, xidText), Report: x1.Warning, Code: 9020},
	}
	reqs := map[string]x1.Request{}
	for name, body := range bodies {
		reqs[name] = x1.Request{Header: header(t), Body: body}
	}
	return reqs
}

// bare is a Task without an end.
func bare(task li.IRITask) li.IRITask {
	task.Until = time.Time{}
	return task
}

func responses(t testing.TB) map[string]x1.Response {
	other := li.ContentTask{IRITask: iriTask(t)}
	other.XID[0]++
	answers := map[string]x1.Answer{
		"ok_activate":   x1.OK{Of: x1.KindActivateTask},
		"ok_deactivate": x1.OK{Of: x1.KindDeactivateTask},
		"ok_ping":       x1.OK{Of: x1.KindPing},
		"ok_keepalive":  x1.OK{Of: x1.KindKeepalive},
		"ok_report":     x1.OK{Of: x1.KindReportTaskIssue},
		"task_details":  x1.TaskDetails{Task: iriTask(t)},
		"task_status":   x1.TaskDetails{Task: iriTask(t), DIDs: []x1.DID{did(t)}, Status: status(t)},
		"task_faulty":   x1.TaskDetails{Task: iriTask(t), Status: x1.TaskStatus{Faulty: true}},
		"task_bare":     x1.TaskDetails{Task: bare(iriTask(t)), Bare: true},
		"all_details":   x1.AllDetails{Tasks: []x1.TaskDetails{{Task: iriTask(t)}, {Task: other}}},
		"all_with_all": x1.AllDetails{
			Faults: []int{9020}, Tasks: []x1.TaskDetails{{Task: other, Status: status(t)}},
			Destinations: []x1.DestinationDetails{{Destination: destination(t, "192.0.2.7:6543")}},
		},
		"destination":      x1.DestinationDetails{Destination: destination(t, "[2001:db8::7]:65535"), Faulty: true},
		"ne_status":        x1.NEStatus{},
		"ne_faults":        x1.NEStatus{Faults: []int{9020, 9050}},
		"all_tasks":        x1.AllTaskDetails{Tasks: []x1.TaskDetails{{Task: iriTask(t)}}},
		"all_destinations": x1.AllDestinationDetails{Destinations: []x1.DestinationDetails{{Destination: destination(t, "192.0.2.7:6543")}}},
		"identifiers":      x1.AllIdentifiers{XIDs: []li.XID{other.XID, xid(t, xidText)}, DIDs: []x1.DID{did(t)}},
		"no_identifiers":   x1.AllIdentifiers{},
		"ok_modify":        x1.OK{Of: x1.KindModifyTask},
		"ok_destination":   x1.OK{Of: x1.KindCreateDestination},
		"ok_report_ne":     x1.OK{Of: x1.KindReportNEIssue},
		"no_details":       x1.AllDetails{},
		"error":            &x1.Error{Of: x1.KindActivateTask, Code: x1.CodeXIDExists},
		"error_extension":  &x1.Error{Of: x1.KindExtended, Code: x1.CodeUnsupported},
	}
	all := map[string]x1.Response{}
	for name, answer := range answers {
		all[name] = x1.Response{Header: header(t), Answer: answer}
	}
	return all
}

// equal compares identities by value: go-cmp would look behind the handle.
func equal() cmp.Option {
	return cmp.Options{cmp.Comparer(func(a, b li.Identity) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}
}

func TestRequestsRoundTrip(t *testing.T) {
	t.Parallel()
	for name, want := range requests(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := x1.EncodeRequests([]x1.Request{want, want})
			if err != nil {
				t.Fatal(err)
			}
			got, err := x1.DecodeRequests(doc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]x1.Request{want, want}, got, equal()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResponsesRoundTrip(t *testing.T) {
	t.Parallel()
	for name, want := range responses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := x1.EncodeResponses([]x1.Response{want, want})
			if err != nil {
				t.Fatal(err)
			}
			got, err := x1.DecodeResponses(doc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]x1.Response{want, want}, got, equal()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// documents are all that we can write.
func documents(t testing.TB) map[string][]byte {
	docs := map[string][]byte{}
	keep := func(name string, doc []byte, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		docs[name] = doc
	}
	for name, r := range requests(t) {
		doc, err := x1.EncodeRequests([]x1.Request{r})
		keep(name, doc, err)
	}
	for name, r := range responses(t) {
		doc, err := x1.EncodeResponses([]x1.Response{r})
		keep(name, doc, err)
	}
	doc, err := x1.EncodeTopLevelError("admf-1", "gw-1", header(t).Time)
	keep("top_level_error", doc, err)
	return docs
}

// What we write is valid under ETSI's own schema.
func TestSchema(t *testing.T) {
	t.Parallel()
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed; make test installs it")
	}
	dir := t.TempDir()
	for name, doc := range documents(t) {
		if err := os.WriteFile(filepath.Join(dir, name+".xml"), doc, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil || len(files) < 20 {
		t.Fatalf("got %d documents: %v", len(files), err)
	}
	validate := func(files ...string) ([]byte, error) {
		args := append([]string{"--noout", "--nonet", "--schema", "testdata/schema/validate-x1.xsd"}, files...)
		return exec.CommandContext(t.Context(), xmllint, args...).CombinedOutput()
	}
	if out, err := validate(files...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// The check itself must be able to fail.
	bad := filepath.Join(dir, "bad.xml")
	doc := bytes.Replace(documents(t)["activate_iri"], []byte(".999999Z</Until>"), []byte("Z</Until>"), 1)
	if err := os.WriteFile(bad, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := validate(bad); err == nil {
		t.Error("a breach of the schema passed")
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	for _, name := range []string{"activate_content", "all_details", "error", "top_level_error"} {
		file := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(file, docs[name], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(docs[name])); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	noTargets, foreign, late := iriTask(t), iriTask(t), iriTask(t)
	noTargets.Targets = nil
	foreign.Targets = []li.Identity{{}}
	late.Until = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	long := header(t)
	long.NE = string(bytes.Repeat([]byte("x"), 256))
	control := header(t)
	control.ADMF = "a\nb"
	version := header(t)
	version.Version = "v2.0.0"
	for name, r := range map[string]x1.Request{
		"no targets":         {Header: header(t), Body: x1.ActivateTask{Task: noTargets}},
		"zero identity":      {Header: header(t), Body: x1.ActivateTask{Task: foreign}},
		"year of five":       {Header: header(t), Body: x1.ActivateTask{Task: late}},
		"nil task":           {Header: header(t), Body: x1.ActivateTask{}},
		"refused":            {Header: header(t), Body: x1.Refused{Of: x1.KindPing}},
		"nil body":           {Header: header(t)},
		"long identifier":    {Header: long, Body: x1.Ping{}},
		"control characters": {Header: control, Body: x1.Ping{}},
		"version":            {Header: version, Body: x1.Ping{}},
		"no report":          {Header: header(t), Body: x1.ReportTaskIssue{}},
		"no issue":           {Header: header(t), Body: x1.ReportNEIssue{}},
		"no end":             {Header: header(t), Body: x1.ActivateTask{Task: bare(iriTask(t))}},
		"no address":         {Header: header(t), Body: x1.CreateDestination{Destination: x1.Destination{DID: did(t), Delivery: x1.DeliverX2}}},
		"port one":           {Header: header(t), Body: x1.CreateDestination{Destination: x1.Destination{DID: did(t), Delivery: x1.DeliverX2, Addr: netip.MustParseAddrPort("192.0.2.1:1")}}},
	} {
		if doc, err := x1.EncodeRequests([]x1.Request{r}); err == nil || doc != nil {
			t.Errorf("%s: got a document, want an error", name)
		}
	}
	if _, err := x1.EncodeResponses([]x1.Response{{Header: header(t), Answer: x1.OK{Of: x1.KindGetAllDetails}}}); err == nil {
		t.Error("OK in answer to GetAllDetails was written")
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	base := iriTask(t)
	turned, later, fewer, finer, other := base, base, base, base, base
	turned.Targets = []li.Identity{base.Targets[1], base.Targets[0], base.Targets[1]}
	later.Until = later.Until.Add(time.Microsecond)
	fewer.Targets = base.Targets[:1]
	finer.Until = finer.Until.Add(time.Nanosecond)
	other.XID[3]++
	for name, tt := range map[string]struct {
		task li.Task
		want bool
	}{
		"itself":               {base, true},
		"targets in any order": {turned, true},
		"below a microsecond":  {finer, true},
		"later end":            {later, false},
		"fewer targets":        {fewer, false},
		"other xid":            {other, false},
		"content":              {li.ContentTask{IRITask: base}, false},
		"only the xid":         {li.IRITask{XID: base.XID}, false},
	} {
		if name == "later end" && !x1.EqualButEnd(base, tt.task) {
			t.Error("but for the end they are equal")
		}
		if x1.Equal(base, tt.task) != tt.want || x1.Equal(tt.task, base) != tt.want {
			t.Errorf("%s: want %v", name, tt.want)
		}
	}
}
