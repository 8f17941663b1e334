package x1_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

const head = `<admfIdentifier>admf-1</admfIdentifier><neIdentifier>gw-1</neIdentifier>` +
	`<messageTimestamp>2026-11-23T10:30:00.123456+01:00</messageTimestamp><version>v1.22.1</version>` +
	`<x1TransactionId>` + txnText + `</x1TransactionId>`

const until = `<taskDetailsExtensions><Owner>ligate</Owner><u:Until xmlns:u="urn:ligate:x1:2026">2027-01-31T23:59:59.999999Z</u:Until></taskDetailsExtensions>`

const details = `<xId>` + xidText + `</xId><targetIdentifiers>` +
	`<targetIdentifier><e164Number>4930123456</e164Number></targetIdentifier></targetIdentifiers>` +
	`<deliveryType>X2andX3</deliveryType><listOfDIDs/>` + until

// container wraps messages as another ADMF may write them.
func container(messages string) string {
	return `<X1Request xmlns="http://uri.etsi.org/03221/X1/2017/10" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` + messages + `</X1Request>`
}

func message(typ, body string) string {
	return `<x1RequestMessage xsi:type="` + typ + `">` + head + body + `</x1RequestMessage>`
}

func activate(details string) string {
	return container(message("ActivateTaskRequest", `<taskDetails>`+details+`</taskDetails>`))
}

func replace(from, to string) string {
	if !strings.Contains(details, from) {
		panic("the base document lacks " + from)
	}
	return activate(strings.Replace(details, from, to, 1))
}

// Spellings that the schema holds equal are read alike.
func TestDecodeForeignSpellings(t *testing.T) {
	t.Parallel()
	full := strings.ReplaceAll(head+"<taskDetails>"+strings.Replace(details, until, "", 1)+"</taskDetails>", "<", "<x:")
	full = strings.ReplaceAll(full, "<x:/", "</x:")
	full = strings.Replace(full, "</x:taskDetails>", `<x:taskDetailsExtensions><x:Owner>ligate</x:Owner><Until xmlns="urn:ligate:x1:2026">2027-02-01T00:59:59.999999+01:00</Until></x:taskDetailsExtensions></x:taskDetails>`, 1)
	for name, doc := range map[string]string{
		"plain": activate(details),
		"prefixed": `<?xml version="1.0" encoding="utf-8"?><!-- from elsewhere -->` +
			`<x:X1Request xmlns:x="http://uri.etsi.org/03221/X1/2017/10" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="a b">` +
			`<x:x1RequestMessage i:type="x:ActivateTaskRequest">` + full + `</x:x1RequestMessage></x:X1Request>`,
		"spaced":      strings.ReplaceAll(strings.ReplaceAll(activate(details), "><", ">\r\n\t <"), "4930123456", " 4930123456\n"),
		"cdata":       replace("4930123456", "<![CDATA[4930]]>12&#x33;456<!-- x -->"),
		"tel uri":     replace("<e164Number>4930123456</e164Number>", "<telUri>tel:+49-30-123456</telUri>"),
		"impu":        replace("<e164Number>4930123456</e164Number>", "<impu>tel:+4930123456</impu>"),
		"leave given": replace("<listOfDIDs/>", "<listOfDIDs></listOfDIDs><implicitDeactivationAllowed>1</implicitDeactivationAllowed>"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reqs, err := x1.DecodeRequests([]byte(doc))
			if err != nil || len(reqs) != 1 {
				t.Fatalf("got %d requests: %v", len(reqs), err)
			}
			task := iriTask(t)
			task.Targets = task.Targets[:1]
			if diff := cmp.Diff(x1.Body(x1.ActivateTask{Task: li.ContentTask{IRITask: task}}), reqs[0].Body, equal()); diff != "" {
				t.Error(diff)
			}
			if want := header(t).Time; reqs[0].Time != want || reqs[0].ADMF != "admf-1" || reqs[0].NE != "gw-1" {
				t.Errorf("header: got %v", reqs[0].Time)
			}
		})
	}
}

// A message that we cannot honour in full is refused with the most specific code.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		doc  string
		kind x1.Kind
		code int
	}{
		"no end of its own":      {replace(until, ""), x1.KindActivateTask, x1.CodeActivateFailed},
		"two ends":               {replace(until, until+until), x1.KindActivateTask, x1.CodeActivateFailed},
		"end without zone":       {replace("999999Z", "999999"), x1.KindActivateTask, x1.CodeActivateFailed},
		"end in seconds":         {replace(".999999Z", "Z"), x1.KindActivateTask, x1.CodeActivateFailed},
		"end on no day":          {replace("2027-01-31", "2027-02-31"), x1.KindActivateTask, x1.CodeActivateFailed},
		"end with comma":         {replace("59.999999", "59,999999"), x1.KindActivateTask, x1.CodeActivateFailed},
		"other owner":            {replace("<Owner>ligate", "<Owner>acme"), x1.KindActivateTask, x1.CodeActivateFailed},
		"other element":          {replace("u:Until xmlns:u=\"urn:ligate:x1:2026\"", "u:Until xmlns:u=\"urn:acme\""), x1.KindActivateTask, x1.CodeActivateFailed},
		"attribute on the end":   {replace("<u:Until ", `<u:Until soft="1" `), x1.KindActivateTask, x1.CodeActivateFailed},
		"extension beside ours":  {replace(until, until+`<taskDetailsExtensions><Owner>acme</Owner><a xmlns="urn:acme"/></taskDetailsExtensions>`), x1.KindActivateTask, x1.CodeActivateFailed},
		"X3Only":                 {replace("X2andX3", "X3Only"), x1.KindActivateTask, x1.CodeDeliveryType},
		"unknown delivery":       {replace("X2andX3", "X4"), x1.KindActivateTask, x1.CodeSyntax},
		"destination set":        {replace("<listOfDIDs/>", "<listOfDIDs><dSId>"+xidText+"</dSId></listOfDIDs>"), x1.KindActivateTask, x1.CodeDIDUnknown},
		"no destination list":    {replace("<listOfDIDs/>", ""), x1.KindActivateTask, x1.CodeSyntax},
		"mediation details":      {replace("<listOfDIDs/>", "<listOfDIDs/><listOfMediationDetails/>"), x1.KindActivateTask, x1.CodeActivateFailed},
		"correlation":            {replace("<listOfDIDs/>", "<listOfDIDs/><correlationID>7</correlationID>"), x1.KindActivateTask, x1.CodeActivateFailed},
		"no implicit end":        {replace("<listOfDIDs/>", "<listOfDIDs/><implicitDeactivationAllowed>false</implicitDeactivationAllowed>"), x1.KindActivateTask, x1.CodeActivateFailed},
		"product":                {replace("<listOfDIDs/>", "<listOfDIDs/><productID>"+xidText+"</productID>"), x1.KindActivateTask, x1.CodeActivateFailed},
		"service types":          {replace("<listOfDIDs/>", "<listOfDIDs/><listOfServiceTypes><serviceType>voice</serviceType></listOfServiceTypes>"), x1.KindActivateTask, x1.CodeServiceType},
		"traffic policy":         {replace(until, until+"<listOfTrafficPolicyReferences><trafficPolicyReference>"+xidText+"</trafficPolicyReference></listOfTrafficPolicyReferences>"), x1.KindActivateTask, x1.CodeActivateFailed},
		"unknown element":        {replace("<listOfDIDs/>", "<listOfDIDs/><onlyOnMondays/>"), x1.KindActivateTask, x1.CodeSyntax},
		"unknown attribute":      {replace("<deliveryType>", `<deliveryType only="out">`), x1.KindActivateTask, x1.CodeSyntax},
		"mixed content":          {replace("<listOfDIDs/>", "but not<listOfDIDs/>"), x1.KindActivateTask, x1.CodeSyntax},
		"imsi":                   {replace("<e164Number>4930123456</e164Number>", "<imsi>262011234567890</imsi>"), x1.KindActivateTask, x1.CodeTargetUnsupported},
		"one of two unsupported": {replace("</targetIdentifiers>", "<targetIdentifier><ipv4Address>192.0.2.1</ipv4Address></targetIdentifier></targetIdentifiers>"), x1.KindActivateTask, x1.CodeTargetUnsupported},
		"two choices in one":     {replace("</e164Number>", "</e164Number><e164Number>4930123457</e164Number>"), x1.KindActivateTask, x1.CodeTargetUnsupported},
		"plus in e164":           {replace("4930123456", "+4930123456"), x1.KindActivateTask, x1.CodeTargetUnsupported},
		"local tel uri":          {replace("<e164Number>4930123456</e164Number>", "<telUri>tel:123456</telUri>"), x1.KindActivateTask, x1.CodeTargetUnsupported},
		"number as sip uri":      {replace("<e164Number>4930123456</e164Number>", "<sipUri>+4930123456</sipUri>"), x1.KindActivateTask, x1.CodeTargetUnsupported},
		"uri not in ascii":       {replace("<e164Number>4930123456</e164Number>", "<sipUri>sip:\u00e4@example.com</sipUri>"), x1.KindActivateTask, x1.CodeTargetUnsupported},
		"no target":              {replace("<targetIdentifier><e164Number>4930123456</e164Number></targetIdentifier>", ""), x1.KindActivateTask, x1.CodeSyntax},
		"upper-case xid":         {replace("123e4567", "123E4567"), x1.KindActivateTask, x1.CodeSyntax},
		"details twice":          {container(message("ActivateTaskRequest", "<taskDetails>"+details+"</taskDetails><taskDetails>"+details+"</taskDetails>")), x1.KindActivateTask, x1.CodeSyntax},
		"modify without end":     {strings.ReplaceAll(replace(until, ""), "ActivateTask", "ModifyTask"), x1.KindModifyTask, x1.CodeActivateFailed},
		"empty destination":      {container(message("CreateDestinationRequest", "<destinationDetails/>")), x1.KindCreateDestination, x1.CodeSyntax},
		"destination by uri":     {container(message("CreateDestinationRequest", `<destinationDetails><dId>`+xidText+`</dId><deliveryType>X2Only</deliveryType><deliveryAddress><uri>sip:a@b</uri></deliveryAddress></destinationDetails>`)), x1.KindCreateDestination, x1.CodeAddressUnsupported},
		"objects":                {container(message("CreateObjectRequest", "<object/>")), x1.KindCreateObject, x1.CodeUnsupported},
		"kind of another table":  {container(message("LaunchRequest", "")), x1.KindExtended, x1.CodeUnsupported},
		"no kind":                {container(strings.Replace(message("PingRequest", ""), ` xsi:type="PingRequest"`, "", 1)), x1.KindExtended, x1.CodeUnsupported},
		"kind of another space":  {container(strings.Replace(message("p:PingRequest", ""), "xsi:type", `xmlns:p="urn:acme" xsi:type`, 1)), x1.KindExtended, x1.CodeUnsupported},
		"ping with body":         {container(message("PingRequest", "<xId>"+xidText+"</xId>")), x1.KindPing, x1.CodeSyntax},
		"deactivate without xid": {container(message("DeactivateTaskRequest", "")), x1.KindDeactivateTask, x1.CodeSyntax},
		"version 2":              {strings.Replace(activate(details), "v1.22.1", "v2.0.0", 1), x1.KindActivateTask, x1.CodeVersion},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reqs, err := x1.DecodeRequests([]byte(tt.doc))
			if err != nil || len(reqs) != 1 {
				t.Fatalf("got %d requests: %v", len(reqs), err)
			}
			want := x1.Refused{Of: tt.kind, Code: tt.code}
			if got, ok := reqs[0].Body.(x1.Refused); !ok || got != want {
				t.Errorf("got %T %+v, want %+v", reqs[0].Body, got, want)
			}
		})
	}
}

// What is no X1 document at all is one error.
func TestDecodeSyntaxErrors(t *testing.T) {
	t.Parallel()
	good := container(message("PingRequest", ""))
	for name, doc := range map[string]string{
		"empty":                     "",
		"not xml":                   "ping",
		"truncated":                 good[:len(good)-3],
		"two roots":                 good + good,
		"text after the root":       good + "x",
		"doctype":                   `<!DOCTYPE X1Request [<!ENTITY a "b">]>` + good,
		"entity":                    strings.Replace(good, "admf-1", "&a;", 1),
		"processing instruction":    `<?xml version="1.0"?><?php x?>` + good,
		"late declaration":          " " + `<?xml version="1.0"?>` + good,
		"other encoding":            `<?xml version="1.0" encoding="ISO-8859-1"?>` + good,
		"not utf-8":                 strings.Replace(good, "admf-1", "admf-\xff", 1),
		"other namespace":           strings.Replace(good, "/X1/2017/10", "/X1/2099/10", 1),
		"other root":                strings.ReplaceAll(good, "X1Request", "X1Response"),
		"no message":                container(""),
		"header out of order":       strings.Replace(good, "<neIdentifier>gw-1</neIdentifier>", "", 1),
		"timestamp without micros":  strings.Replace(good, ".123456", "", 1),
		"timestamp of one digit":    strings.Replace(good, "T10:30:00.123456+01:00", "T1:30:00.1234567+01:00", 1),
		"upper-case transaction id": strings.Replace(good, txnText, strings.ToUpper(txnText), 1),
		"unbound type prefix":       strings.Replace(good, `"PingRequest"`, `"q:PingRequest"`, 1),
		"attribute twice":           strings.Replace(good, `xsi:type="PingRequest"`, `xsi:type="PingRequest" xsi:type="GetAllDetailsRequest"`, 1),
		"deep":                      container(message("PingRequest", strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100))),
		"too many messages":         container(strings.Repeat(message("PingRequest", ""), x1.MaxMessages+1)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if reqs, err := x1.DecodeRequests([]byte(doc)); !errors.Is(err, x1.ErrSyntax) || reqs != nil {
				t.Errorf("got %d requests, error %v, want ErrSyntax", len(reqs), err)
			}
		})
	}
	if _, err := x1.DecodeRequests(make([]byte, x1.MaxRequestBytes+1)); !errors.Is(err, x1.ErrTooLarge) {
		t.Errorf("oversized: got %v", err)
	}
}

// A gateway's list shows foreign tasks as odd, so that they compare unequal.
func TestAllDetailsKeepsForeignTasks(t *testing.T) {
	t.Parallel()
	doc, err := x1.EncodeResponses([]x1.Response{{Header: header(t), Answer: x1.AllDetails{Tasks: []x1.TaskDetails{{Task: iriTask(t)}}}}})
	if err != nil {
		t.Fatal(err)
	}
	foreign := strings.Replace(string(doc), "<e164Number>4930123456</e164Number>", "<imsi>262011234567890</imsi>", 1)
	got, err := x1.DecodeResponses([]byte(foreign))
	if err != nil {
		t.Fatal(err)
	}
	kept := iriTask(t) // for the record: when it was to end, and of what kind it is
	kept.Targets = nil
	want := x1.AllDetails{Tasks: []x1.TaskDetails{{Task: kept, Odd: true}}}
	if diff := cmp.Diff(x1.Answer(want), got[0].Answer, equal()); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeTopLevelError(t *testing.T) {
	t.Parallel()
	if _, err := x1.DecodeResponses(documents(t)["top_level_error"]); !errors.Is(err, x1.ErrTopLevel) {
		t.Errorf("got %v, want ErrTopLevel", err)
	}
}

// Success means that writing what was read and reading it again gives the same.
func FuzzDecodeRequests(f *testing.F) {
	for _, doc := range documents(f) {
		f.Add(doc)
	}
	f.Add([]byte(activate(details)))
	f.Fuzz(func(t *testing.T, b []byte) {
		reqs, err := x1.DecodeRequests(b)
		if err != nil {
			if reqs != nil {
				t.Error("an error came with requests")
			}
			return
		}
		for _, r := range reqs {
			if refused, ok := r.Body.(x1.Refused); ok {
				if refused.Code == 0 || refused.Of == 0 {
					t.Error("refused without code or kind")
				}
				continue
			}
			doc, err := x1.EncodeRequests([]x1.Request{r})
			if errors.Is(err, x1.ErrTooLarge) {
				continue
			}
			if err != nil {
				t.Fatalf("cannot write what was read: %v", err)
			}
			again, err := x1.DecodeRequests(doc)
			if err != nil {
				t.Fatalf("cannot read what was written: %v", err)
			}
			if diff := cmp.Diff([]x1.Request{r}, again, equal()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func FuzzDecodeResponses(f *testing.F) {
	for _, doc := range documents(f) {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := x1.DecodeResponses(b)
		if err != nil {
			if all != nil {
				t.Error("an error came with responses")
			}
			return
		}
		for _, r := range all {
			if foreign(r.Answer) {
				continue
			}
			doc, err := x1.EncodeResponses([]x1.Response{r})
			if err != nil {
				t.Fatalf("cannot write what was read: %v", err)
			}
			again, err := x1.DecodeResponses(doc)
			if err != nil {
				t.Fatalf("cannot read what was written: %v", err)
			}
			if diff := cmp.Diff([]x1.Response{r}, again, equal()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// foreign reports whether an answer holds a task of another origin, which is never written.
func foreign(a x1.Answer) bool {
	var tasks []x1.TaskDetails
	var destinations []x1.DestinationDetails
	switch a := a.(type) {
	case x1.TaskDetails:
		tasks = []x1.TaskDetails{a}
	case x1.AllTaskDetails:
		tasks = a.Tasks
	case x1.AllDetails:
		tasks, destinations = a.Tasks, a.Destinations
	case x1.DestinationDetails:
		destinations = []x1.DestinationDetails{a}
	case x1.AllDestinationDetails:
		destinations = a.Destinations
	}
	for _, d := range destinations {
		if d.Odd {
			return true
		}
	}
	for _, task := range tasks {
		if task.Odd {
			return true
		}
	}
	return false
}
