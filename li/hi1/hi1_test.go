package hi1_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/li/hi1"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	authID  = hi1.UUID("7dbbc880-8750-4d3c-abe7-ea4a17646045")
	taskID  = hi1.UUID("2b36a78b-b628-416d-bd22-404e68a0cd36")
	docID   = hi1.UUID("4193f541-5e19-468e-b4a3-1c636ce115e9")
	number  = "4930555001"
	content = "%PDF-1.7 order"
)

func header() hi1.Header {
	return hi1.Header{
		Sender: hi1.Endpoint{Country: "DE", ID: "Police"}, Receiver: hi1.Endpoint{Country: "DE", ID: "op <1> & co"},
		Transaction: "c02358b2-76cf-4ba4-a8eb-f6436ccaea2e", Time: time.Date(2026, 11, 24, 9, 0, 0, 123000, time.UTC),
		Version: hi1.Version, ProfileOwner: hi1.ProfileOwner, ProfileVersion: hi1.ProfileVersion,
	}
}

func day(d int) time.Time { return time.Date(2026, 12, d, 12, 0, 0, 0, time.UTC) }

func common(id hi1.UUID, associated ...hi1.UUID) hi1.Common {
	generation := uint32(0)
	return hi1.Common{ID: id, Country: "DE", Owner: "Police", Generation: &generation, ExternalID: "ext-1", Associated: associated, LastChanged: day(1)}
}

func approval() hi1.Approval {
	no := false
	return hi1.Approval{
		Type: "judge", Description: "signed", Reference: "7 Gs 1/26", Time: day(1), Emergency: &no,
		Approver: &hi1.Approver{Name: "Judge A", Role: "judge", Contacts: []hi1.Contact{{Name: "registry", Email: "registry@court.example", Phone: "4930901"}}},
	}
}

func authorisation() *hi1.Authorisation {
	return &hi1.Authorisation{
		Common: common(authID, docID), Reference: "7 Gs 1/26", LegalType: hi1.ETSI(hi1.DictLegalType, "Manual"),
		Priority: hi1.ETSI(hi1.DictPriority, "Routine"), Status: hi1.ETSI(hi1.DictAuthorisationStatus, "Rejected"),
		DesiredStatus: hi1.ETSI(hi1.DictAuthorisationWish, "Approved"), Timespan: &hi1.Timespan{Start: day(2), End: day(30)},
		CSPIDs: []hi1.Endpoint{{Country: "DE", ID: "op"}}, CreatedAt: day(1), ServedAt: day(2), TerminatedAt: day(3),
		Approvals: []hi1.Approval{approval(), {Type: "second"}}, InvalidReason: &hi1.ErrorInfo{Code: 0, Description: "no such number here"},
		Flags: []hi1.Entry{*hi1.ETSI(hi1.DictAuthorisationFlag, "IsTest")}, ManualInfo: "§ 100a StPO\nsecond line\r\ttab", Jurisdiction: "Berlin",
		TypeOfCase: hi1.ETSI("AuthorisationTypeOfCase", "NotSpecified"), LegalEntity: "Amtsgericht",
	}
}

func task() *hi1.Task {
	return &hi1.Task{
		Common: common(taskID, authID), Reference: "L-1", Status: hi1.ETSI(hi1.DictTaskStatus, "Active"), DesiredStatus: hi1.ETSI(hi1.DictTaskWish, "Active"),
		Timespan: &hi1.TaskTimespan{Start: day(2), End: day(30), Terminated: day(29), Provisioned: day(2), Deprovisioning: day(29)},
		Target: &hi1.Target{
			Values:  []hi1.TargetValue{{Owner: "ETSI", Name: "InternationalE164", Value: hi1.NewValue(number)}},
			Service: &hi1.Entry{Owner: "x", Name: "TaskServiceType", Value: "voice"},
		},
		DeliveryType: hi1.ETSI(hi1.DictDeliveryType, "IRIandCC"),
		Destinations: []hi1.Destination{
			{Handover: hi1.ETSI(hi1.DictHandoverFormat, "TS102232-5")},
			{Address: &hi1.Address{Kind: hi1.AddressIPv4, Text: "192.0.2.1"}},
			{Address: &hi1.Address{Kind: hi1.AddressURL, Text: "https://lemf.example:443/a?b=c"}},
			{Address: &hi1.Address{Kind: hi1.AddressIPv6, Text: "2001:0db8:0000:0000:0000:0000:0000:0001"}},
			{Address: &hi1.Address{Kind: hi1.AddressEmail, Text: "a.b@lemf.example"}},
			{Address: &hi1.Address{Kind: hi1.AddressEndpoint, Endpoint: &hi1.Endpoint{Country: "DE", ID: "lemf"}}},
		},
		Approvals: []hi1.Approval{approval()}, CSPID: &hi1.Endpoint{Country: "DE", ID: "op"}, HandlingProfile: &hi1.Entry{Owner: "a", Name: "b", Value: "c"},
		InvalidReason: &hi1.ErrorInfo{Code: 7, Description: "x"}, Flags: []hi1.Entry{*hi1.ETSI(hi1.DictTaskFlag, "IsTest")},
	}
}

func document() *hi1.Document {
	return &hi1.Document{
		Common: common(docID), Reference: "D-1", Name: "order.pdf", Status: hi1.ETSI(hi1.DictDocumentStatus, "Approved"),
		DesiredStatus: hi1.ETSI(hi1.DictDocumentWish, "Approved"), Timespan: &hi1.Timespan{}, DocumentType: hi1.ETSI(hi1.DictDocumentType, "Warrant"),
		Properties: []hi1.Property{{Type: hi1.Entry{Owner: "x", Name: "y", Value: "z"}, Value: " kept as it is "}},
		Body:       &hi1.Body{Contents: hi1.NewContents([]byte(content)), ContentType: "application/pdf", Checksum: "00", ChecksumType: "SHA-256"},
		Signatures: []hi1.Approval{approval()}, InvalidReason: &hi1.ErrorInfo{Code: 1, Description: "unreadable"},
	}
}

func notification() *hi1.Notification {
	yes := true
	return &hi1.Notification{Common: common("11111111-2222-4333-8444-555555555555", taskID), Details: "Task is Active", NotificationType: hi1.ETSI(hi1.DictNotificationType, "General"), New: &yes, Time: day(2)}
}

// messages are one of each kind, with every field that we know.
func messages() map[string]hi1.Message {
	requests := func(all ...hi1.ActionRequest) hi1.Message {
		for i := range all {
			all[i].ID = uint32(i)
		}
		return hi1.Message{Header: header(), Requests: all}
	}
	responses := func(all ...hi1.ActionResponse) hi1.Message {
		for i := range all {
			all[i].ID = uint32(i)
		}
		return hi1.Message{Header: header(), Responses: all}
	}
	create := func(o hi1.Object) hi1.ActionRequest { return hi1.ActionRequest{Create: &hi1.Subject{Object: o}} }
	return map[string]hi1.Message{
		"create": requests(create(authorisation()), create(task()), create(document()), create(notification())),
		"bare":   requests(create(&hi1.Task{Common: hi1.Common{ID: taskID}})),
		"asks": requests(
			hi1.ActionRequest{Get: &hi1.Reference{Identifier: taskID}}, hi1.ActionRequest{Update: &hi1.Subject{Object: task()}},
			hi1.ActionRequest{List: &hi1.Listing{}}, hi1.ActionRequest{List: &hi1.Listing{ObjectType: hi1.ETSI(hi1.DictObjectType, "Task"), LastChanged: day(1)}},
			hi1.ActionRequest{Deliver: &hi1.Delivered{Identifier: taskID, Object: document()}},
		),
		"answers": responses(
			hi1.ActionResponse{Get: &hi1.Subject{Object: authorisation()}}, hi1.ActionResponse{Create: &hi1.Result{Identifier: taskID}},
			hi1.ActionResponse{Update: &hi1.Result{Identifier: taskID, Object: task()}}, hi1.ActionResponse{List: &hi1.Records{}},
			hi1.ActionResponse{List: &hi1.Records{Records: []hi1.Record{
				{ObjectType: *hi1.ETSI(hi1.DictObjectType, "Task"), Identifier: taskID},
				{ObjectType: *hi1.ETSI(hi1.DictObjectType, "Task"), Identifier: taskID, Country: "DE", Owner: "Police", Generation: 3, ExternalID: "e", LastChanged: day(4)},
			}}},
			hi1.ActionResponse{Error: &hi1.ErrorInfo{Code: 0, Description: "why"}}, hi1.ActionResponse{Delivered: &hi1.Reference{Identifier: taskID}},
		),
		"refusal": {Header: header(), Error: &hi1.ErrorInfo{Code: 3, Description: "why"}},
	}
}

type form struct {
	name   string
	encode func(hi1.Message) ([]byte, error)
	decode func([]byte) (hi1.Message, error)
}

func forms() []form {
	return []form{{"xml", hi1.EncodeXML, hi1.DecodeXML}, {"json", hi1.EncodeJSON, hi1.DecodeJSON}}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, want := range messages() {
		for _, f := range forms() {
			doc, err := f.encode(want)
			if err != nil {
				t.Fatalf("%s as %s: %v", name, f.name, err)
			}
			got, err := f.decode(doc)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s as %s: %v\n%s\n%s", name, f.name, err, diff, doc)
			}
		}
	}
}

// xmllint validates files under ETSI's schema.
func xmllint(t *testing.T, files ...string) ([]byte, error) {
	t.Helper()
	tool, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed; make test installs it")
	}
	args := append([]string{"--noout", "--nonet", "--schema", "testdata/schema/validate-hi1.xsd"}, files...)
	return exec.CommandContext(t.Context(), tool, args...).CombinedOutput()
}

// write keeps documents as files for xmllint.
func write(t *testing.T, docs map[string][]byte) []string {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for name, doc := range docs {
		file := filepath.Join(dir, name+".xml")
		if err := os.WriteFile(file, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// What we write is valid under ETSI's own schema.
func TestSchema(t *testing.T) {
	t.Parallel()
	docs := map[string][]byte{}
	for name, m := range messages() {
		doc, err := hi1.EncodeXML(m)
		if err != nil {
			t.Fatal(err)
		}
		docs[name] = doc
	}
	if out, err := xmllint(t, write(t, docs)...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// The check itself must be able to fail.
	for old, other := range map[string]string{"<auth:AuthorisationReference>": "<auth:AuthorisationReference><a/>", ".000123Z": "Z", ">L-1<": "> <"} {
		bad := bytes.Replace(docs["create"], []byte(old), []byte(other), 1)
		if _, err := xmllint(t, write(t, map[string][]byte{"bad": bad})...); err == nil {
			t.Errorf("a breach of the schema passed: %s", other)
		}
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, m := range messages() {
		for _, f := range forms() {
			doc, err := f.encode(m)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+"."+f.name+".golden")
			if *update {
				if err := os.WriteFile(file, doc, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if diff := cmp.Diff(string(want), string(doc)); err != nil || diff != "" {
				t.Errorf("%s: %v %s", file, err, diff)
			}
		}
	}
}

// Other people's prefixes, order of JSON members, white space and comments are read.
func TestReadsOtherWriters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"other.xml", "other.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		decode := hi1.DecodeXML
		if strings.HasSuffix(name, "json") {
			decode = hi1.DecodeJSON
		}
		m, err := decode(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, ok := m.Requests[1].Create.Object.(*hi1.Task)
		if !ok || got.Target.Values[0].Value.Reveal() != number || got.Associated[0] != authID || !got.DeliveryType.Is(hi1.DictDeliveryType, "IRIandCC") || m.Requests[1].ID != 1 {
			t.Errorf("%s: %+v", name, m)
		}
		if again, err := hi1.EncodeXML(m); err != nil || len(again) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing prints a target or a document, and no fault quotes its input.
func TestHides(t *testing.T) {
	t.Parallel()
	all := messages()["create"]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, v := range []any{task().Target.Values, task().Target.Values[0].Value, document().Body, document().Body.Contents, all.Requests[1].Create.Object.(*hi1.Task).Target.Values} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, number) || strings.Contains(s, "PDF") || strings.Contains(s, fmt.Sprintf("%x", number)) {
				t.Errorf("%s shows %s", verb, s)
			}
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	change := func(f func(*hi1.Message)) hi1.Message {
		m := messages()["create"]
		f(&m)
		return m
	}
	for name, m := range map[string]hi1.Message{
		"nothing":           {Header: header()},
		"no header":         {Requests: messages()["asks"].Requests},
		"both":              change(func(m *hi1.Message) { m.Error = &hi1.ErrorInfo{Description: "x"} }),
		"no verb":           change(func(m *hi1.Message) { m.Requests[0].Create = nil }),
		"two verbs":         change(func(m *hi1.Message) { m.Requests[0].List = &hi1.Listing{} }),
		"no object":         change(func(m *hi1.Message) { m.Requests[0].Create.Object = nil }),
		"capitals in UUID":  change(func(m *hi1.Message) { m.Transaction = "C02358B2-76cf-4ba4-a8eb-f6436ccaea2e" }),
		"control character": change(func(m *hi1.Message) { m.Sender.ID = "a\x01b" }),
		"not UTF-8":         change(func(m *hi1.Message) { m.Sender.ID = "a\xff" }),
		"late":              change(func(m *hi1.Message) { m.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"country":           change(func(m *hi1.Message) { m.Sender.Country = "de" }),
		"long text":         change(func(m *hi1.Message) { m.ProfileOwner = strings.Repeat("x", 256) }),
		"65 actions":        change(func(m *hi1.Message) { m.Requests = make([]hi1.ActionRequest, 65) }),
		"address of two": change(func(m *hi1.Message) {
			m.Requests[1].Create.Object.(*hi1.Task).Destinations[1].Address.Endpoint = &hi1.Endpoint{Country: "DE", ID: "x"}
		}),
	} {
		for _, f := range forms() {
			var fault *hi1.Fault
			if doc, err := f.encode(m); !errors.As(err, &fault) || doc != nil {
				t.Errorf("%s as %s: %v, %d octets", name, f.name, err, len(doc))
			}
		}
	}
	huge := messages()["create"]
	huge.Requests[2].Create.Object.(*hi1.Document).Body.Contents = hi1.NewContents(make([]byte, hi1.MaxMessageBytes))
	if _, err := hi1.EncodeXML(huge); !errors.Is(err, hi1.ErrTooLarge) {
		t.Errorf("huge: %v", err)
	}
}

// A stored object comes back as it was, and the same object gives the same octets.
func TestObjectsAlone(t *testing.T) {
	t.Parallel()
	for _, want := range []hi1.Object{authorisation(), task(), document(), notification()} {
		b, err := hi1.EncodeObject(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := hi1.DecodeObject(b)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		again, err := hi1.EncodeObject(got)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%v: %s, then %s", err, b, again)
		}
		if o, err := hi1.DecodeObject(b[:len(b)-3]); err == nil || o != nil {
			t.Error("a cut object was read")
		}
	}
}
