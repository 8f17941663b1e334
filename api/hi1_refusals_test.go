package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/api/hi1"
	"github.com/ligate/ligate/audit"
	lihi1 "github.com/ligate/ligate/li/hi1"
)

func (o *office) count(table string) (n int) {
	o.t.Helper()
	o.must(o.pool.QueryRow(o.t.Context(), "select count(*) from "+table).Scan(&n))
	return n
}

// Each order that cannot become a warrant is refused by what was wrong with it, and
// nothing of the message is kept.
func TestElectronicOrderRefusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	value := func(name, v string) func(order) {
		return func(b order) {
			b.task.Target.Values[0].Name, b.task.Target.Values[0].Value = name, lihi1.NewValue(v)
		}
	}
	for name, tt := range map[string]struct {
		change func(order)
		action int // that is refused by itself
		code   uint32
		says   string
	}{
		"no LIID":          {func(b order) { b.task.Reference = "" }, 1, 3003, "Reference"},
		"no authority":     {func(b order) { b.authorisation.LegalEntity = "" }, 1, 3000, "AuthorisationLegalEntity"},
		"no file number":   {func(b order) { b.authorisation.Reference = "" }, 1, 3000, "AuthorisationReference"},
		"no legal basis":   {func(b order) { b.authorisation.ManualInfo = "" }, 1, 3000, "AuthorisationLegalType"},
		"no dates":         {func(b order) { b.task.Timespan, b.authorisation.Timespan = nil, nil }, 1, 3001, "required"},
		"end before start": {func(b order) { b.task.Timespan.End = b.task.Timespan.Start.Add(-time.Hour) }, 1, 3001, "after StartTime"},
		"over": {func(b order) {
			b.task.Timespan.Start, b.task.Timespan.End = b.task.Timespan.Start.Add(-48*time.Hour), b.task.Timespan.Start
		}, 1, 3001, "past"},
		"too long":            {func(b order) { b.task.Timespan.End = b.task.Timespan.End.AddDate(2, 0, 0) }, 1, 3001, "366"},
		"outside":             {func(b order) { b.authorisation.Timespan.End = b.task.Timespan.End.Add(-time.Hour) }, 1, 3001, "within"},
		"provisioned already": {func(b order) { b.task.Timespan.Provisioned = b.task.Timespan.Start }, 1, 3001, "operator's"},
		"letters":             {value("InternationalE164", "49x0555001"), 1, 3002, "format"},
		"plus":                {value("InternationalE164", "+4930555001"), 1, 3002, "format"},
		"emergency number":    {value("InternationalE164", "110"), 1, 3002, "short"},
		"URI as number":       {value("InternationalE164", "sip:a@example.com"), 1, 3002, "format"},
		"number as URI":       {value("SIPURI", "4930555001"), 1, 3002, "format"},
		"IMSI":                {value("IMSI", "262011234567890"), 1, 3002, "FormatName"},
		"other owner":         {func(b order) { b.task.Target.Values[0].Owner = "3GPP" }, 1, 3002, "FormatOwner"},
		"two values":          {func(b order) { b.task.Target.Values = append(b.task.Target.Values, b.task.Target.Values[0]) }, 1, 3002, "exactly one"},
		"no target":           {func(b order) { b.task.Target = nil }, 1, 3002, "exactly one"},
		"service":             {func(b order) { b.task.Target.Service = lihi1.ETSI("TaskServiceType", "x") }, 1, 3002, "ServiceType"},
		"content alone":       {func(b order) { b.task.DeliveryType = lihi1.ETSI(lihi1.DictDeliveryType, "CCOnly") }, 1, 3000, "DeliveryType"},
		"no scope":            {func(b order) { b.task.DeliveryType = nil }, 1, 3000, "DeliveryType"},
		"no authorisation":    {func(b order) { b.task.Associated = nil }, 1, 3000, "exactly one Authorisation"},
		"unknown object":      {func(b order) { b.task.Associated = append(b.task.Associated, newUUID()) }, 1, 2000, "AssociatedObjects"},
		"no document":         {func(b order) { b.authorisation.Associated = nil }, 1, 3000, "Document"},
		"empty document":      {func(b order) { b.document.Body.Contents = lihi1.Contents{} }, 2, 3000, "Contents"},
		"wrong checksum": {func(b order) {
			b.document.Body.Checksum, b.document.Body.ChecksumType = strings.Repeat("0", 64), "SHA-256"
		}, 2, 3000, "Checksum"},
		"untyped document": {func(b order) { b.document.Body.ContentType = "" }, 2, 3000, "ContentType"},
		"own status":       {func(b order) { b.task.Status = lihi1.ETSI(lihi1.DictTaskStatus, "Active") }, 1, 3000, "operator's"},
		"own approval":     {func(b order) { b.authorisation.Status = lihi1.ETSI(lihi1.DictAuthorisationStatus, "Approved") }, 0, 3000, "operator's"},
		"wish backward":    {func(b order) { b.task.DesiredStatus = lihi1.ETSI(lihi1.DictTaskWish, "Cancelled") }, 1, 3000, "DesiredStatus"},
		"generation":       {func(b order) { one := uint32(1); b.task.Generation = &one }, 1, 3000, "Generation"},
		"foreign owner":    {func(b order) { b.task.Owner = "Customs" }, 1, 1001, "OwnerIdentifier"},
		"foreign operator": {func(b order) { b.task.CSPID = &lihi1.Endpoint{Country: "DE", ID: "other"} }, 1, 1001, "CSPID"},
		"own delivery address": {func(b order) {
			b.task.Destinations = []lihi1.Destination{{Address: &lihi1.Address{Kind: lihi1.AddressFQDN, Text: "evil.example"}}}
		}, 1, 3000, "DeliveryDetails"},
		"other handover": {func(b order) {
			b.task.Destinations = []lihi1.Destination{{Handover: lihi1.ETSI(lihi1.DictHandoverFormat, "TS102232-7")}}
		}, 1, 3000, "HandoverFormat"},
		"one identifier twice": {func(b order) { b.document.ID = b.task.ID }, 2, 3000, "twice"},
	} {
		bad := newOrder("L-1")
		tt.change(bad)
		for i, r := range o.hi1("ina", []string{"xml", "json"}[len(name)%2], message("ina", bad.creates()...)).Responses {
			switch {
			case r.Error == nil:
				t.Errorf("%s: action %d was done", name, i)
			case i != tt.action && r.Error.Code != 2002:
				t.Errorf("%s: action %d: %+v", name, i, r.Error)
			case i == tt.action && (r.Error.Code != tt.code || !strings.Contains(r.Error.Description, tt.says) || strings.Contains(r.Error.Description, "555001")):
				t.Errorf("%s: %+v", name, r.Error)
			}
		}
	}
	if o.count("hi1_object")+o.count("hi1_order")+o.count("hi1_notification")+o.count("warrant") != 0 {
		t.Error("something of a refused order was kept")
	}
	if n := len(o.entries("hi1.create")); n < 37*3 {
		t.Errorf("%d entries of refusals", n)
	}
	o.sends("ina", "xml", newOrder("L-1")) // what all of them were made from is taken
}

// The same again is the same; something else under a used identifier is refused.
func TestElectronicOrderRepeated(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	all := newOrder("L-1")
	for range 2 {
		o.sends("ina", "xml", all)
		o.sends("ina", "json", all)
	}
	if len(o.inbox("")) != 1 || o.count("hi1_notification") != 1 {
		t.Errorf("%d orders, %d notifications", len(o.inbox("")), o.count("hi1_notification"))
	}
	o.taken()
	o.sends("ina", "xml", all) // also after it was taken
	before, _ := o.stands("ina", all)
	all.task.Target.Values[0].Value = lihi1.NewValue("4930555002")
	m := o.hi1("ina", "xml", message("ina", all.creates()...))
	if m.Responses[1].Error == nil || m.Responses[1].Error.Code != 2001 || m.Responses[0].Error == nil || m.Responses[0].Error.Code != 2002 {
		t.Errorf("other content: %+v", m.Responses)
	}
	shown := o.ask("ina", "xml", get(all.task.ID)).Get.Object.(*lihi1.Task)
	if after, _ := o.stands("ina", all); after != before || shown.Target.Values[0].Value.Reveal() != secretNumber {
		t.Errorf("other content changed something: %s, then %s", before, after)
	}
	// Another Task under the same papers is another order; the same LIID is not.
	second := newOrder("L-2")
	second.authorisation, second.document, second.task.Associated = all.authorisation, all.document, []lihi1.UUID{all.authorisation.ID}
	o.sends("ina", "xml", second)
	third := newOrder("L-2")
	if m := o.hi1("ina", "xml", message("ina", third.creates()...)); m.Responses[1].Error == nil || m.Responses[1].Error.Code != 3003 {
		t.Errorf("LIID of an order that waits: %+v", m.Responses)
	}
	if n := o.count("hi1_object"); n != 4 {
		t.Errorf("%d objects, want 4", n)
	}
	if status, _ := o.stands("ina", second); status != "AwaitingApproval AwaitingApproval AwaitingApproval" {
		t.Errorf("second Task: %s", status)
	}
}

// Papers first and the Task later is the same order.
func TestElectronicOrderInParts(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	all := newOrder("L-1")
	for _, object := range []lihi1.Object{all.document, all.authorisation, all.task} {
		if len(o.inbox("")) != 0 {
			t.Error("an order without a Task")
		}
		if m := o.hi1("ina", "json", message("ina", creates(object)...)); m.Responses[0].Create == nil {
			t.Fatalf("%+v", m.Responses[0].Error)
		}
	}
	o.taken()
}

// Nothing that an agency can send moves a warrant, and only drafters and approvers
// decide about the inbox.
func TestElectronicOrderCannotActivate(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	all := newOrder("L-1")
	o.sends("ina", "xml", all)
	id := fmt.Sprint(o.inbox("received")[0]["id"])
	for who, status := range map[string]int{"ina": 403, "otto": 403, "aud": 403, "root1": 403, "mallory": 401} {
		if a := o.do(who, "POST", "/admin/v1/inbox/"+id+"/take", ""); a.status != status {
			t.Errorf("%s takes: %d", who, a.status)
		}
		if a := o.do(who, "POST", "/admin/v1/inbox/"+id+"/refuse", `{"reason": "r"}`); a.status != status {
			t.Errorf("%s refuses: %d", who, a.status)
		}
	}
	for who, status := range map[string]int{"ina": 403, "root1": 403, "aud": 200, "bob": 200} {
		for _, path := range []string{"", "/" + id, "/" + id + "/documents/" + string(all.document.ID)} {
			if a := o.do(who, "GET", "/admin/v1/inbox"+path, ""); a.status != status {
				t.Errorf("%s reads %s: %d", who, path, a.status)
			}
		}
	}
	for who, status := range map[string]int{"ann": 403, "root1": 403, "mallory": 401} {
		if a := o.do(who, "POST", "/hi1/v1", "<x/>", "Content-Type: application/xml"); a.status != status {
			t.Errorf("%s posts: %d", who, a.status)
		}
		if a := o.do(who, "GET", "/hi1/v1/notifications", ""); a.status != status {
			t.Errorf("%s reads notifications: %d", who, a.status)
		}
	}
	update := &lihi1.Task{Common: lihi1.Common{ID: all.task.ID}, DesiredStatus: lihi1.ETSI(lihi1.DictTaskWish, "Active")}
	for name, r := range map[string]lihi1.ActionRequest{
		"UPDATE to Active":  {Update: &lihi1.Subject{Object: update}},
		"UPDATE of target":  {Update: &lihi1.Subject{Object: newOrder("L-1").task}},
		"DELIVER":           {Deliver: &lihi1.Delivered{Identifier: all.task.ID, Object: all.document}},
		"CREATE of notices": {Create: &lihi1.Subject{Object: &lihi1.Notification{Common: lihi1.Common{ID: newUUID()}}}},
		"LIST of notices":   {List: &lihi1.Listing{ObjectType: lihi1.ETSI(lihi1.DictObjectType, "Notification")}},
	} {
		if a := o.ask("ina", "xml", r); a.Error == nil {
			t.Errorf("%s was done", name)
		}
	}
	if o.count("warrant")+o.count("task") != 0 {
		t.Error("an agency made a warrant or a Task")
	}
	for path, status := range map[string]int{"/x": 404, "/x/documents/y": 404, "/" + id + "/documents/" + string(all.task.ID): 404} {
		if a := o.do("ann", "GET", "/admin/v1/inbox"+path, ""); a.status != status {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

func TestElectronicOrderRejected(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	all := newOrder("L-1")
	o.sends("ina", "xml", all)
	id := fmt.Sprint(o.inbox("received")[0]["id"])
	for _, reason := range []string{"", " "} {
		if a := o.do("ann", "POST", "/admin/v1/inbox/"+id+"/refuse", fmt.Sprintf(`{"reason": %q}`, reason)); a.status != 422 {
			t.Errorf("no reason: %d", a.status)
		}
	}
	if a := o.do("ann", "POST", "/admin/v1/inbox/"+id+"/refuse", `{"reason": "the order\nlacks a seal"}`); a.status != 204 {
		t.Fatalf("refuse: %d %s", a.status, a.body)
	}
	if got, reason := o.stands("ina", all); got != "Rejected Rejected Rejected" || reason != "the order lacks a seal" {
		t.Errorf("%s, %s", got, reason)
	}
	if told, _ := o.told("ina", ""); strings.Join(told, "|") != "AwaitingApproval|Rejected: the order lacks a seal" {
		t.Errorf("%v", told)
	}
	for _, verb := range []string{"take", "refuse"} {
		if a := o.do("bob", "POST", "/admin/v1/inbox/"+id+"/"+verb, `{"reason": "r"}`); a.status != 409 {
			t.Errorf("%s what was rejected: %d", verb, a.status)
		}
	}
	o.sends("ina", "xml", newOrder("L-1")) // corrected, under the same LIID
	// What the second person rejects is rejected for the agency too, until corrected.
	warrantID, etag := o.taken()
	etag = o.act("ann", warrantID, "submit", etag, "")
	o.act("bob", warrantID, "reject", etag, `{"reason": "internal"}`)
	told, _ := o.told("ina", "")
	if last := told[len(told)-1]; !strings.HasPrefix(last, "Rejected: the second person") || strings.Contains(last, "internal") {
		t.Errorf("%s", last)
	}
}

// A wish to cancel empties the inbox or alarms an officer; it stops no tap by itself.
func TestElectronicOrderCancelled(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cancel := func(all order) lihi1.ActionRequest {
		return lihi1.ActionRequest{Update: &lihi1.Subject{Object: &lihi1.Authorisation{
			Common: lihi1.Common{ID: all.authorisation.ID}, DesiredStatus: lihi1.ETSI(lihi1.DictAuthorisationWish, "Cancelled"),
		}}}
	}
	waiting := newOrder("L-1")
	o.sends("ina", "xml", waiting)
	stale, old := cancel(waiting), uint32(77)
	stale.Update.Object.Base().Generation = &old
	if a := o.ask("ina", "xml", stale); a.Error == nil || a.Error.Code != 3004 {
		t.Errorf("an old generation: %+v", a)
	}
	for range 2 {
		a := o.ask("ina", "xml", cancel(waiting))
		if a.Update == nil || a.Update.Object.(*lihi1.Authorisation).Status.Value != "Cancelled" || a.Update.Object.(*lihi1.Authorisation).DesiredStatus.Value != "Cancelled" {
			t.Errorf("cancel: %+v", a)
		}
	}
	if len(o.inbox("received")) != 0 || len(o.inbox("withdrawn")) != 1 {
		t.Error("a withdrawn order waits")
	}
	under := newOrder("L-3")
	under.task.Associated = []lihi1.UUID{waiting.authorisation.ID}
	if m := o.hi1("ina", "xml", message("ina", creates(under.task)...)); m.Responses[0].Error == nil || m.Responses[0].Error.Code != 3004 {
		t.Errorf("a Task under what was cancelled: %+v", m.Responses[0])
	}
	begun := newOrder("L-2")
	o.sends("ina", "xml", begun)
	id, _ := o.taken()
	if a := o.ask("ina", "json", cancel(begun)); a.Update == nil || a.Update.Object.(*lihi1.Authorisation).Status.Value != "AwaitingApproval" {
		t.Errorf("cancel of a draft: %+v", a)
	}
	if a := o.do("ann", "GET", "/admin/v1/alarms", ""); !strings.Contains(string(a.body), "hi1_cancellation_asked") || !strings.Contains(string(a.body), "L-2") || strings.Contains(string(a.body), "L-1") {
		t.Errorf("alarms: %s", a.body)
	}
	if a := o.do("ann", "GET", "/admin/v1/warrants/"+id, ""); a.field("state") != "draft" {
		t.Errorf("an agency moved a warrant: %s", a.body)
	}
	if item := o.inbox("drafted")[0]; item["desired"] != "Cancelled" {
		t.Errorf("inbox: %v", item)
	}
}

// What is no message is a problem; what has a header is answered as a message.
func TestElectronicOrderMalformed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	b, err := lihi1.EncodeXML(message("ina", newOrder("L-1").creates()...))
	o.must(err)
	good := string(b)
	for name, tt := range map[string]struct {
		body, contentType string
		status            int
		says              string
	}{
		"empty":              {" ", "application/xml", 400, "not an XML document"},
		"not XML":            {"hello", "application/xml", 400, ""},
		"JSON as XML":        {"{}", "application/xml", 400, ""},
		"XML as JSON":        {good, "application/json", 400, "not a JSON object"},
		"other type":         {good, "text/plain", 415, "Content-Type"},
		"no type":            {good, "", 415, "Content-Type"},
		"doctype":            {strings.Replace(good, "<HI1Message", "<!DOCTYPE x><HI1Message", 1), "application/xml", 400, "document type"},
		"no header":          {strings.Replace(good, "<ETSIVersion>", "<ETSIVersion>x", 1), "application/xml", 400, "HI1Message/Header/Version/ETSIVersion"},
		"just too large":     {strings.Repeat(" ", hi1.MaxBodyBytes+1), "application/xml", 413, ""},
		"unknown element":    {strings.Replace(good, "<task:Reference>", "<task:Secret/><task:Reference>", 1), "application/xml", 200, "ActionRequest[2]/CREATE/HI1Object"},
		"national parameter": {strings.Replace(good, "<auth:AuthorisationReference>", "<NationalHandlingParameters/><auth:AuthorisationReference>", 1), "application/xml", 200, "national profile"},
		"other sender":       {strings.Replace(good, ">Police<", ">Customs<", 1), "application/xml", 200, "SenderIdentifier"},
		"other receiver":     {strings.Replace(good, ">op<", ">other<", 1), "application/xml", 200, "ReceiverIdentifier"},
		"an answer":          {strings.NewReplacer("RequestPayload", "ResponsePayload", "ActionRequest", "ActionResponse", "CREATE>", "GETResponse>").Replace(good), "application/xml", 200, "RequestPayload"},
		"one action twice":   {strings.Replace(good, "<ActionIdentifier>1<", "<ActionIdentifier>0<", 1), "application/xml", 200, "ActionIdentifier"},
	} {
		a := o.do("ina", "POST", "/hi1/v1", tt.body, "Content-Type: "+tt.contentType)
		if a.status != tt.status || !strings.Contains(string(a.body), tt.says) || strings.Contains(string(a.body), "Secret") || strings.Contains(string(a.body), "555001") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if m, err := lihi1.DecodeXML(a.body); a.status == http.StatusOK && (err != nil || m.Error == nil) {
			t.Errorf("%s: %v %+v", name, err, m)
		}
	}
	if o.count("hi1_object") != 0 {
		t.Error("something was kept")
	}
	refused, _, err := o.log.Entries(t.Context(), o.pool, audit.Filter{Action: "hi1.message", Limit: 100})
	if err != nil || len(refused) < 14 { // all but the one that is too large
		t.Errorf("%d entries, %v", len(refused), err)
	}
	// A scanned order of several megabytes is taken.
	large := newOrder("L-1")
	large.document.Body.Contents = lihi1.NewContents([]byte(strings.Repeat("scan", 1<<20)))
	o.sends("ina", "xml", large)
}
