package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/hi1"
)

const (
	secretNumber = "4930555001"
	signedOrder  = "%PDF-1.7 tap 4930555001"
)

func operator() hi1.Endpoint { return hi1.Endpoint{Country: "DE", ID: "op"} }

func newUUID() hi1.UUID { return hi1.UUID(li.NewXID().String()) }

// order is an electronic order as an agency writes it.
type order struct {
	authorisation *hi1.Authorisation
	task          *hi1.Task
	document      *hi1.Document
}

func newOrder(liid li.LIID) order {
	doc := &hi1.Document{
		Common: hi1.Common{ID: newUUID()}, Name: "order.pdf", DocumentType: hi1.ETSI(hi1.DictDocumentType, "Warrant"),
		Body: &hi1.Body{Contents: hi1.NewContents([]byte(signedOrder)), ContentType: "application/pdf"},
	}
	authorisation := &hi1.Authorisation{
		Common: hi1.Common{ID: newUUID(), Associated: []hi1.UUID{doc.ID}}, Reference: "7 Gs 1/26", LegalType: hi1.ETSI(hi1.DictLegalType, "Manual"),
		ManualInfo: "100a StPO", LegalEntity: "Amtsgericht", Priority: hi1.ETSI(hi1.DictPriority, "High"), DesiredStatus: hi1.ETSI(hi1.DictAuthorisationWish, "Approved"),
		Timespan: &hi1.Timespan{Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(100, 0, 0)},
	}
	now := time.Now().UTC().Truncate(time.Second)
	task := &hi1.Task{
		Common: hi1.Common{ID: newUUID(), Associated: []hi1.UUID{authorisation.ID}}, Reference: liid, DesiredStatus: hi1.ETSI(hi1.DictTaskWish, "Active"),
		Timespan: &hi1.TaskTimespan{Start: now.Add(-time.Hour), End: now.Add(720 * time.Hour)}, DeliveryType: hi1.ETSI(hi1.DictDeliveryType, "IRIandCC"),
		Target: &hi1.Target{Values: []hi1.TargetValue{{Owner: "ETSI", Name: "InternationalE164", Value: hi1.NewValue(secretNumber)}}},
	}
	return order{authorisation, task, doc}
}

func (o order) creates() []hi1.ActionRequest { return creates(o.authorisation, o.task, o.document) }

func creates(objects ...hi1.Object) []hi1.ActionRequest {
	var all []hi1.ActionRequest
	for i, object := range objects {
		all = append(all, hi1.ActionRequest{ID: uint32(i), Create: &hi1.Subject{Object: object}})
	}
	return all
}

// agencyOf names the agency of each person of the tests.
func agencyOf(who string) string { return map[string]string{"ina": "Police", "otto": "Customs"}[who] }

func message(who string, requests ...hi1.ActionRequest) hi1.Message {
	return hi1.Message{
		Header: hi1.Header{
			Sender: hi1.Endpoint{Country: "DE", ID: agencyOf(who)}, Receiver: operator(), Transaction: newUUID(), Time: time.Now().UTC().Truncate(time.Microsecond),
			Version: hi1.Version, ProfileOwner: hi1.ProfileOwner, ProfileVersion: hi1.ProfileVersion,
		},
		Requests: requests,
	}
}

// hi1 sends a message and reads the answer, as XML or as JSON.
func (o *office) hi1(who, form string, m hi1.Message) hi1.Message {
	o.t.Helper()
	encode, decode := hi1.EncodeXML, hi1.DecodeXML
	if form == "json" {
		encode, decode = hi1.EncodeJSON, hi1.DecodeJSON
	}
	b, err := encode(m)
	o.must(err)
	a := o.do(who, "POST", "/hi1/v1", string(b), "Content-Type: application/"+form)
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "application/"+form) {
		o.t.Fatalf("%d %s %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	answer, err := decode(a.body)
	o.must(err)
	if answer.Transaction != m.Transaction || answer.Sender != operator() || answer.Receiver != m.Sender {
		o.t.Errorf("header: %+v", answer.Header)
	}
	return answer
}

// ask sends one action and returns its answer.
func (o *office) ask(who, form string, r hi1.ActionRequest) hi1.ActionResponse {
	o.t.Helper()
	m := o.hi1(who, form, message(who, r))
	if len(m.Responses) != 1 || m.Responses[0].ID != r.ID {
		o.t.Fatalf("answer: %+v", m)
	}
	return m.Responses[0]
}

func get(id hi1.UUID) hi1.ActionRequest {
	return hi1.ActionRequest{ID: 9, Get: &hi1.Reference{Identifier: id}}
}

// sends creates an order, which must be taken into the inbox.
func (o *office) sends(who, form string, all order) {
	o.t.Helper()
	m := o.hi1(who, form, message(who, all.creates()...))
	for i, r := range m.Responses {
		if r.Create == nil || r.Create.Identifier != all.creates()[i].Create.Object.Base().ID {
			o.t.Fatalf("not created: %+v %+v", r, r.Error)
		}
	}
}

// stands reads the statuses of an order's three objects, and the reason.
func (o *office) stands(who string, all order) (statuses, reason string) {
	o.t.Helper()
	task := o.ask(who, "xml", get(all.task.ID)).Get.Object.(*hi1.Task)
	authorisation := o.ask(who, "json", get(all.authorisation.ID)).Get.Object.(*hi1.Authorisation)
	document := o.ask(who, "json", get(all.document.ID)).Get.Object.(*hi1.Document)
	if task.Status.Name != hi1.DictTaskStatus || authorisation.Status.Name != hi1.DictAuthorisationStatus || document.Status.Name != hi1.DictDocumentStatus {
		o.t.Errorf("dictionaries: %+v %+v %+v", task.Status, authorisation.Status, document.Status)
	}
	if task.InvalidReason != nil {
		reason = task.InvalidReason.Description
	}
	return task.Status.Value + " " + authorisation.Status.Value + " " + document.Status.Value, reason
}

// inbox lists the inbox as ann.
func (o *office) inbox(state string) []map[string]any {
	o.t.Helper()
	a := o.do("ann", "GET", "/admin/v1/inbox?state="+state, "")
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal(a.body, &list); err != nil || a.status != 200 {
		o.t.Fatalf("inbox: %d %s", a.status, a.body)
	}
	return list.Items
}

// taken makes the one order in the inbox a draft of ann's.
func (o *office) taken() (id, etag string) {
	o.t.Helper()
	items := o.inbox("received")
	if len(items) != 1 {
		o.t.Fatalf("%d orders wait", len(items))
	}
	a := o.do("ann", "POST", fmt.Sprintf("/admin/v1/inbox/%s/take", items[0]["id"]), "")
	if a.status != 201 || a.field("state") != "draft" {
		o.t.Fatalf("take: %d %s", a.status, a.body)
	}
	return a.field("id"), a.header.Get("ETag")
}

// act does one act of the admin API and returns the new ETag.
func (o *office) act(who, id, verb, etag, body string) string {
	o.t.Helper()
	a := o.do(who, "POST", "/admin/v1/warrants/"+id+"/"+verb, body, "If-Match: "+etag)
	if a.status != 200 {
		o.t.Fatalf("%s: %d %s", verb, a.status, a.body)
	}
	return a.header.Get("ETag")
}

// told reads all notifications behind a cursor.
func (o *office) told(who, since string) (details []string, next string) {
	o.t.Helper()
	a := o.do(who, "GET", "/hi1/v1/notifications?since="+since, "", "Accept: application/json")
	next = a.header.Get("Ligate-Next")
	if a.status == 204 {
		return nil, next
	}
	m, err := hi1.DecodeJSON(a.body)
	o.must(err)
	for _, r := range m.Requests {
		n := r.Create.Object.(*hi1.Notification)
		_, what, _ := strings.Cut(n.Details, ": ")
		details = append(details, what)
	}
	return details, next
}

func TestElectronicOrderToWarrant(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	all := newOrder("L-9")
	o.sends("ina", "xml", all)
	expect := func(when, want string) {
		t.Helper()
		if got, _ := o.stands("ina", all); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	expect("sent", "AwaitingApproval AwaitingApproval AwaitingApproval")
	if a := o.do("ann", "GET", "/admin/v1/warrants", ""); a.field("items") != "[]" {
		t.Errorf("an agency's message made a warrant: %s", a.body)
	}
	first, cursor := o.told("ina", "")
	item := o.inbox("received")[0]
	path := fmt.Sprintf("/admin/v1/inbox/%s", item["id"])
	a := o.do("bob", "GET", path, "")
	if a.status != 200 || !strings.Contains(string(a.body), "7 Gs 1/26") || strings.Contains(string(a.body), "555001") || strings.Contains(string(a.body), `"until"`) {
		t.Errorf("the order in the inbox: %d %s", a.status, a.body)
	}
	a = o.do("bob", "GET", path+"/documents/"+string(all.document.ID), "")
	if a.status != 200 || string(a.body) != signedOrder || a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("document: %d %s", a.status, a.body)
	}
	id, etag := o.taken()
	expect("taken", "AwaitingApproval AwaitingApproval AwaitingApproval")
	if a := o.do("ann", "GET", "/admin/v1/warrants/"+id, ""); a.field("targets") != "["+aTarget+"]" || a.field("liid") != "L-9" || a.field("scope") != "iri+cc" ||
		a.field("legal_basis") != "100a StPO" || a.field("authority") != "Amtsgericht" || a.field("agency_id") != o.agencies["Police"] {
		t.Errorf("draft: %s", a.body)
	}
	etag = o.act("ann", id, "submit", etag, "")
	typed := fmt.Sprintf(`{"targets": ["030 555001"], "until": %q}`, all.task.Timespan.End.Format(time.RFC3339))
	if a := o.do("ann", "POST", "/admin/v1/warrants/"+id+"/approve", typed, "If-Match: "+etag); a.status != 403 {
		t.Errorf("who took the order approved it: %d", a.status)
	}
	o.act("bob", id, "approve", etag, typed)
	expect("approved", "AwaitingProvisioning Approved Approved")
	if item := o.inbox("drafted")[0]; item["warrant_state"] != "approved" || item["warrant_id"] != id || item["officer"] == "" {
		t.Errorf("inbox: %v", item)
	}
	o.must(o.store.Due(t.Context(), time.Now()))
	expect("started", "Active Approved Approved")
	etag = o.do("ann", "GET", "/admin/v1/warrants/"+id, "").header.Get("ETag")
	etag = o.act("bob", id, "suspend", etag, `{"reason": "r"}`)
	expect("suspended", "Suspended Suspended Suspended")
	etag = o.act("bob", id, "resume", etag, `{"reason": "r"}`)
	expect("resumed", "Active Approved Approved")
	o.act("ann", id, "revoke", etag, `{"reason": "lifted"}`)
	expect("revoked", "Cancelled Cancelled Cancelled")
	ended := o.ask("ina", "xml", get(all.task.ID)).Get.Object.(*hi1.Task)
	if ended.Timespan.Terminated.IsZero() || *ended.Generation < 8 || ended.DesiredStatus.Value != "Active" || ended.Target.Values[0].Value.Reveal() != secretNumber {
		t.Errorf("the Task at its end: %+v, generation %d", ended.Timespan, *ended.Generation)
	}
	later, end := o.told("ina", cursor)
	want := "AwaitingApproval|AwaitingApproval|AwaitingApproval|AwaitingProvisioning|Active|Suspended|Active|Cancelled"
	if got := strings.Join(append(first, later...), "|"); got != want {
		t.Errorf("notifications: %s, want %s", got, want)
	}
	if again, _ := o.told("ina", cursor); strings.Join(again, "|") != strings.Join(later, "|") {
		t.Errorf("a cursor did not last: %v", again)
	}
	if rest, next := o.told("ina", end); rest != nil || next != end {
		t.Errorf("behind the end: %v %s", rest, next)
	}
	o.noTargetAnywhere()
}

// noTargetAnywhere: neither the audit log nor the rows of HI1 name the target, and
// what opens them does not stand there.
func (o *office) noTargetAnywhere() {
	o.t.Helper()
	records, _, err := o.log.Entries(o.t.Context(), o.pool, audit.Filter{Limit: 1000})
	o.must(err)
	if b, err := json.Marshal(records); err != nil || strings.Contains(string(b), "555001") {
		o.t.Errorf("the audit log names the target: %v", err)
	}
	var rows string
	err = o.pool.QueryRow(o.t.Context(), `select (select coalesce(string_agg(r::text || encode(r.content, 'escape') || encode(r.content, 'base64'), ''), '') from hi1_object r)
		|| (select coalesce(string_agg(r::text, ''), '') from hi1_order r) || (select coalesce(string_agg(r::text, ''), '') from hi1_notification r)`).Scan(&rows)
	o.must(err)
	if len(rows) < 1000 || strings.Contains(rows, "4930555001") || strings.Contains(rows, "PDF-1.7") {
		o.t.Errorf("the database names the target or shows the document")
	}
}

// What another agency has is answered like what nobody has, in every action.
func TestElectronicOrdersOfOthersAreUnknown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	all := newOrder("L-1")
	o.sends("ina", "json", all)
	cancel := func(id hi1.UUID) hi1.ActionRequest {
		return hi1.ActionRequest{ID: 9, Update: &hi1.Subject{Object: &hi1.Task{Common: hi1.Common{ID: id}, DesiredStatus: hi1.ETSI(hi1.DictTaskWish, "Cancelled")}}}
	}
	for name, ask := range map[string]func(hi1.UUID) hi1.ActionRequest{"GET": get, "UPDATE": cancel} {
		theirs, nobodys := o.ask("otto", "xml", ask(all.task.ID)), o.ask("otto", "xml", ask(newUUID()))
		if theirs.Error == nil || *theirs.Error != *nobodys.Error || theirs.Error.Code != 2000 {
			t.Errorf("%s: %+v, of nobody's %+v", name, theirs.Error, nobodys.Error)
		}
	}
	if l := o.ask("otto", "xml", hi1.ActionRequest{List: &hi1.Listing{}}); len(l.List.Records) != 0 {
		t.Errorf("list: %+v", l.List)
	}
	if l := o.ask("ina", "xml", hi1.ActionRequest{List: &hi1.Listing{}}); len(l.List.Records) != 3 || l.List.Records[0].Generation != 1 || l.List.Records[0].LastChanged.IsZero() {
		t.Errorf("own list: %+v", l.List)
	}
	if l := o.ask("ina", "xml", hi1.ActionRequest{List: &hi1.Listing{ObjectType: hi1.ETSI(hi1.DictObjectType, "Task"), LastChanged: time.Now().Add(time.Hour)}}); len(l.List.Records) != 0 {
		t.Errorf("list of the future: %+v", l.List)
	}
	if got, _ := o.told("otto", ""); got != nil {
		t.Errorf("notifications: %v", got)
	}
	// A Task under somebody else's Authorisation is one under none.
	stray := newOrder("L-2")
	stray.task.Associated = []hi1.UUID{all.authorisation.ID}
	if m := o.hi1("otto", "xml", message("otto", creates(stray.task)...)); m.Responses[0].Error == nil || m.Responses[0].Error.Code != 2000 {
		t.Errorf("under another's: %+v", m.Responses[0])
	}
	// The same identifiers and the same LIID are free for the other agency: the
	// operator's people sort that out, so that nobody learns who taps whom.
	all.task.Target.Values[0].Value = hi1.NewValue("4930555002")
	o.sends("otto", "xml", all)
	if n := len(o.inbox("received")); n != 2 {
		t.Errorf("%d orders wait, want 2", n)
	}
	statuses := map[int]int{}
	for _, item := range o.inbox("received") {
		statuses[o.do("ann", "POST", fmt.Sprintf("/admin/v1/inbox/%s/take", item["id"]), "").status]++
	}
	if statuses[201] != 1 || statuses[409] != 1 {
		t.Errorf("taking two orders of one LIID: %v", statuses)
	}
}

// The order in docs/hi1.md is one that is taken.
func TestDocumentedOrderIsTaken(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	doc, err := os.ReadFile("../docs/hi1.md")
	o.must(err)
	_, rest, _ := strings.Cut(string(doc), "```xml\n")
	example, _, _ := strings.Cut(rest, "```")
	a := o.do("ina", "POST", "/hi1/v1", example, "Content-Type: application/xml")
	m, err := hi1.DecodeXML(a.body)
	if err != nil || len(m.Responses) != 3 {
		t.Fatalf("%d %s %v", a.status, a.body, err)
	}
	for _, r := range m.Responses {
		if r.Create == nil {
			t.Errorf("%+v", r.Error)
		}
	}
	o.taken()
}
