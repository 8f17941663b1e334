package hi1_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/hi1"
)

func golden(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Each refusal says where and what, and nothing of what was read.
func TestFaults(t *testing.T) {
	t.Parallel()
	const request = "HI1Message/Payload/RequestPayload/ActionRequests/ActionRequest[2]/CREATE/HI1Object"
	xml, json := golden(t, "create.xml"), golden(t, "create.json")
	for name, tt := range map[string]struct{ doc, old, new, path, reason string }{
		"unknown element":      {xml, "<task:Reference>", "<task:Extra>SECRET</task:Extra><task:Reference>", request, "not known here"},
		"unknown attribute":    {xml, "<task:Reference>", `<task:Reference SECRET="1">`, "", "attribute"},
		"wrong order":          {xml, "<CountryCode>DE</CountryCode><UniqueIdentifier>Police</UniqueIdentifier>", "<UniqueIdentifier>SECRET</UniqueIdentifier><CountryCode>DE</CountryCode>", "HI1Message/Header/SenderIdentifier", "CountryCode is missing"},
		"wrong namespace":      {xml, `xmlns:task="http://uri.etsi.org/03120/common/2020/09/Task"`, `xmlns:task="http://SECRET"`, request, "xsi:type"},
		"doctype":              {xml, "<HI1Message", "<!DOCTYPE x [<!ENTITY SECRET SYSTEM 'file:///etc/passwd'>]><HI1Message", "", "document type"},
		"entity":               {xml, ">L-1<", ">&SECRET;<", "", "entity"},
		"instruction":          {xml, "<Header>", "<?SECRET?><Header>", "", "processing"},
		"other object":         {xml, "task:LITaskObject", "task:LDTaskObject", request, "no other objects"},
		"no xsi:type":          {xml, ` xsi:type="task:LITaskObject"`, "", request, "xsi:type"},
		"national":             {xml, "<auth:AuthorisationReference>", `<NationalHandlingParameters><CountryCode>DE</CountryCode></NationalHandlingParameters><auth:AuthorisationReference>`, "NationalHandlingParameters", "national profile"},
		"signature":            {xml, "</HI1Message>", "<Signature>SECRET</Signature></HI1Message>", "HI1Message/Signature", "signed"},
		"traffic policy":       {xml, "<task:Flags>", "<task:Flags></task:Flags><task:ListOfTrafficPolicyReferences/><task:Flags>", request + "/ListOfTrafficPolicyReferences", "traffic"},
		"empty element":        {xml, ">L-1<", "><", request + "/Reference", "is empty"},
		"bad LIID":             {xml, ">L-1<", ">SECRET SECRET<", request + "/Reference", "LIID"},
		"bad UUID":             {xml, string(taskID), strings.ToUpper(string(taskID)), request + "/ObjectIdentifier", "UUID"},
		"bad time":             {xml, "2026-12-30T12:00:00Z", "2026-13-30T12:00:00Z", "Timespan/EndTime", "a time in seconds"},
		"fraction":             {xml, "2026-12-30T12:00:00Z", "2026-12-30T12:00:00.5Z", "Timespan/EndTime", "a time in seconds"},
		"text between":         {xml, "<task:Reference>", "SECRET<task:Reference>", "", "text between"},
		"second root":          {xml, "</HI1Message>", "</HI1Message><SECRET/>", "", "second root"},
		"type on a leaf":       {xml, "<task:Reference>", `<task:Reference xsi:type="task:SECRET">`, request + "/Reference", "xsi:type"},
		"unbound type":         {xml, "task:LITaskObject", "SECRET:LITaskObject", "", "prefix"},
		"two verbs":            {xml, "</CREATE></ActionRequest>", "</CREATE><LIST></LIST></ActionRequest>", "ActionRequest[1]", "exactly one"},
		"bad base64":           {xml, "JVBERi0xLjcgb3JkZXI=", "SECRET!", "DocumentBody/Contents", "base64"},
		"not UTF-8":            {xml, ">L-1<", ">\xff<", "", "UTF-8"},
		"deep":                 {xml, "<Header>", strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20) + "<Header>", "", "deep"},
		"many":                 {xml, "<Header>", strings.Repeat("<a/>", 20001) + "<Header>", "", "too many"},
		"not XML":              {"SECRET", "", "", "", "not an XML document|outside"},
		"empty":                {" ", "", "", "", "not an XML document"},
		"cut":                  {xml[:900], "", "", "", "well-formed"},
		"json unknown":         {json, `"task:Reference"`, `"task:SECRET":1,"task:Reference"`, request, "not known here"},
		"json twice":           {json, `"task:Reference"`, `"task:Reference":"SECRET","task:Reference"`, "", "twice"},
		"json null":            {json, `"L-1"`, `null`, "", "null"},
		"json number":          {json, `"L-1"`, `17`, request + "/Reference", "LIID"},
		"json text for number": {json, `"ActionIdentifier":1`, `"ActionIdentifier":"1"`, "ActionRequest[2]/ActionIdentifier", "number"},
		"json fraction":        {json, `"ActionIdentifier":1`, `"ActionIdentifier":1.0`, "ActionRequest[2]/ActionIdentifier", "number"},
		"json not an array":    {json, `["` + string(authID) + `"]`, `"` + string(authID) + `"`, "AssociatedObjects/AssociatedObject[1]", "array"},
		"json array":           {json, `"L-1"`, `["L-1"]`, request + "/Reference", "array"},
		"json empty array":     {json, `["` + string(authID) + `"]`, `[]`, "", "empty array"},
		"json nested array":    {json, `["` + string(authID) + `"]`, `[["x"]]`, "", "array in an array"},
		"json prefix":          {json, `"@xmlns:task"`, `"@xmlns:SECRET"`, "", "prefix"},
		"json stray @":         {json, `"Header":{`, `"Header":{"@SECRET":"1",`, "", "@"},
		"json type":            {json, `{http://uri.etsi.org/03120/common/2020/09/Task}LITaskObject`, `task:LITaskObject`, "", "@xsi:type"},
		"json trailing":        {json + "{}", "", "", "", "follows"},
		"json list":            {"[]", "", "", "", "not a JSON object"},
		"json deep":            {json, `"Header":{`, `"Header":` + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20) + `,"x":{`, "", "deep"},
		"json signature":       {json, `"Payload":`, `"Signatures":[{"value":"SECRET"}],"Payload":`, "Signatures", "signed"},
	} {
		doc := tt.doc
		if tt.old != "" {
			if doc = strings.Replace(tt.doc, tt.old, tt.new, 1); doc == tt.doc {
				t.Errorf("%s: nothing was replaced", name)
			}
		}
		decode := hi1.DecodeXML
		if strings.HasPrefix(name, "json") {
			decode = hi1.DecodeJSON
		}
		m, err := decode([]byte(doc))
		var fault *hi1.Fault
		if !errors.As(err, &fault) || m.Requests != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		known := false
		for reason := range strings.SplitSeq(tt.reason, "|") {
			known = known || strings.Contains(fault.Reason, reason)
		}
		if !known || !strings.HasSuffix(fault.Path, tt.path) || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), number) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Once the header is read, a fault behind it can be answered.
func TestFaultKeepsTheHeader(t *testing.T) {
	t.Parallel()
	var fault *hi1.Fault
	_, err := hi1.DecodeXML([]byte(strings.Replace(golden(t, "create.xml"), ">L-1<", "><", 1)))
	if !errors.As(err, &fault) || fault.Header == nil || fault.Header.Transaction != header().Transaction || fault.Offset == 0 {
		t.Errorf("%v", err)
	}
	_, err = hi1.DecodeXML([]byte(strings.Replace(golden(t, "create.xml"), "<ETSIVersion>", "<ETSIVersion>x", 1)))
	if !errors.As(err, &fault) || fault.Header != nil {
		t.Errorf("%v", err)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	for _, f := range forms() {
		if _, err := f.decode(make([]byte, hi1.MaxMessageBytes+1)); !errors.Is(err, hi1.ErrTooLarge) {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

// drawn makes messages of any content that may be written.
func drawn(r *rapid.T) hi1.Message {
	text := rapid.StringMatching(`[ -~äß€\n\r\t]{0,20}[!-~][ -~]{0,5}`)
	maybe := func(label string) string {
		if rapid.Bool().Draw(r, "has "+label) {
			return text.Draw(r, label)
		}
		return ""
	}
	entry := func(label string) *hi1.Entry {
		if !rapid.Bool().Draw(r, "has "+label) {
			return nil
		}
		return &hi1.Entry{Owner: text.Draw(r, label), Name: text.Draw(r, label), Value: text.Draw(r, label)}
	}
	id := func() hi1.UUID {
		return hi1.UUID(li.XID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "uuid")).String())
	}
	when := func(label string) time.Time {
		if !rapid.Bool().Draw(r, "has "+label) {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(0, 250000000000).Draw(r, label), 0).UTC()
	}
	object := func() hi1.Object {
		base := hi1.Common{ID: id(), Owner: maybe("owner"), ExternalID: maybe("external"), LastChanged: when("changed")}
		for range rapid.IntRange(0, 3).Draw(r, "associated") {
			base.Associated = append(base.Associated, id())
		}
		switch rapid.IntRange(0, 3).Draw(r, "kind") {
		case 0:
			o := authorisation()
			o.Common, o.Reference, o.LegalType, o.ManualInfo, o.ServedAt = base, maybe("reference"), entry("legal type"), maybe("manual"), when("served")
			return o
		case 1:
			o := task()
			o.Common, o.Status, o.Timespan = base, entry("status"), &hi1.TaskTimespan{Start: when("start"), End: when("end")}
			o.Target = &hi1.Target{Values: []hi1.TargetValue{{Owner: text.Draw(r, "owner"), Name: text.Draw(r, "name"), Value: hi1.NewValue(text.Draw(r, "value"))}}}
			return o
		case 2:
			o := document()
			o.Common, o.Name = base, maybe("name")
			o.Body.Contents = hi1.NewContents(rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(r, "contents"))
			return o
		}
		yes := rapid.Bool().Draw(r, "new")
		return &hi1.Notification{Common: base, Details: maybe("details"), New: &yes, Time: when("time")}
	}
	m := hi1.Message{Header: header()}
	m.Transaction, m.Sender.ID = id(), text.Draw(r, "sender")
	for i := range rapid.IntRange(1, 3).Draw(r, "actions") {
		m.Requests = append(m.Requests, hi1.ActionRequest{ID: uint32(i), Create: &hi1.Subject{Object: object()}})
	}
	return m
}

// A message is the same through XML and JSON, one behind the other, and what is
// written is valid whatever it holds.
func TestAnyMessageThroughBothForms(t *testing.T) {
	t.Parallel()
	docs := map[string][]byte{}
	rapid.Check(t, func(r *rapid.T) {
		m := drawn(r)
		for range 2 {
			for _, f := range forms() {
				doc, err := f.encode(m)
				if err != nil {
					r.Fatalf("%s: %v", f.name, err)
				}
				got, err := f.decode(doc)
				if diff := cmp.Diff(m, got); err != nil || diff != "" {
					r.Fatalf("%s: %v\n%s\n%s", f.name, err, diff, doc)
				}
				if f.name == "xml" {
					docs[fmt.Sprint(len(docs))] = doc
				}
				m = got
			}
		}
	})
	if out, err := xmllint(t, write(t, docs)...); err != nil {
		t.Errorf("%v\n%s", err, out[:min(len(out), 2000)])
	}
}

// Whatever is read is written again, in both forms, and reads as the same.
func FuzzDecode(f *testing.F) {
	for name := range messages() {
		f.Add([]byte(golden(f, name+".xml")))
		f.Add([]byte(golden(f, name+".json")))
	}
	for _, name := range []string{"other.xml", "other.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, from := range forms() {
			m, err := from.decode(b)
			if err != nil {
				if m.Requests != nil || m.Responses != nil || m.Error != nil {
					t.Error("a refused message was given out")
				}
				continue
			}
			for _, to := range forms() {
				doc, err := to.encode(m)
				if errors.Is(err, hi1.ErrTooLarge) {
					continue
				}
				if err != nil {
					t.Fatalf("read as %s, not written as %s: %v", from.name, to.name, err)
				}
				again, err := to.decode(doc)
				if err != nil {
					t.Fatalf("%s: %v\n%s", to.name, err, doc)
				}
				second, err := to.encode(again)
				if err != nil || string(second) != string(doc) {
					t.Fatalf("%s is not stable: %v", to.name, err)
				}
			}
		}
	})
}
