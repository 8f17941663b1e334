package main

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/hi1"
)

// With admin.hi1 an order that an agency sent taps once two people let it, and not
// before; the agency sees each step.
func TestElectronicOrderTapsAfterTwoPeople(t *testing.T) {
	t.Parallel()
	st := newStory(t)
	file := st.path("operator", "ligate.yaml")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("reconcile_every: 5s}"), []byte("reconcile_every: 5s, hi1: true}"), 1)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	st.inProcess(t)
	if err := st.people(t.Context()); err != nil {
		t.Fatal(err)
	}
	order := electronicOrder()
	m := st.sendHI1(t, order...)
	for _, r := range m.Responses {
		if r.Create == nil {
			t.Fatalf("%+v", r.Error)
		}
	}
	task := order[1].Create.Object.(*hi1.Task)
	st.expectHI1(t, task.ID, "AwaitingApproval")
	ann, err := st.client("ann")
	if err != nil {
		t.Fatal(err)
	}
	var inbox struct {
		Items []struct{ ID string }
	}
	if _, err := ann.do(t.Context(), http.MethodGet, "/admin/v1/inbox", nil, &inbox); err != nil || len(inbox.Items) != 1 {
		t.Fatalf("%+v, %v", inbox, err)
	}
	var draft struct{ ID string }
	if _, err := ann.do(t.Context(), http.MethodPost, "/admin/v1/inbox/"+inbox.Items[0].ID+"/take", nil, &draft); err != nil {
		t.Fatal(err)
	}
	st.warrantID = draft.ID
	until := task.Timespan.End.Format(time.RFC3339)
	approve := []string{"warrant", "approve", st.warrantID, "--target", aliceNumber, "--until", until}
	if _, err := st.cli(t.Context(), st.as("ann", "warrant", "submit", st.warrantID)...); err != nil {
		t.Fatal(err)
	}
	if _, err := st.cli(t.Context(), st.as("ann", approve...)...); err == nil {
		t.Error("who took the order approved it")
	}
	if _, err := st.cli(t.Context(), st.as("bob", approve...)...); err != nil {
		t.Fatal(err)
	}
	if err := st.awaitTap(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	st.expectHI1(t, task.ID, "Active")
}

func electronicOrder() []hi1.ActionRequest {
	id := func() hi1.UUID { return hi1.UUID(li.NewXID().String()) }
	now := time.Now().UTC().Truncate(time.Second)
	a := &hi1.Authorisation{Common: hi1.Common{ID: id()}, Reference: "1", ManualInfo: "test", LegalEntity: "Court"}
	task := &hi1.Task{
		Common: hi1.Common{ID: id(), Associated: []hi1.UUID{a.ID}}, Reference: "HI1-1", Timespan: &hi1.TaskTimespan{Start: now.Add(-time.Hour), End: now.Add(time.Hour)},
		DeliveryType: hi1.ETSI(hi1.DictDeliveryType, "IRIOnly"),
		Target:       &hi1.Target{Values: []hi1.TargetValue{{Owner: "ETSI", Name: "InternationalE164", Value: hi1.NewValue(strings.TrimPrefix(aliceNumber, "+"))}}},
	}
	doc := &hi1.Document{Common: hi1.Common{ID: id(), Associated: []hi1.UUID{a.ID}}, Body: &hi1.Body{Contents: hi1.NewContents([]byte("%PDF")), ContentType: "application/pdf"}}
	var all []hi1.ActionRequest
	for i, o := range []hi1.Object{a, task, doc} {
		all = append(all, hi1.ActionRequest{ID: uint32(i), Create: &hi1.Subject{Object: o}})
	}
	return all
}

// sendHI1 posts a message as the story's agency.
func (st *story) sendHI1(t *testing.T, actions ...hi1.ActionRequest) hi1.Message {
	t.Helper()
	c, err := apiFlags{API: st.api, Server: st.server, Cert: st.path("agency", "keys", "client.crt"), Key: st.path("agency", "keys", "client.key")}.client()
	if err != nil {
		t.Fatal(err)
	}
	b, err := hi1.EncodeXML(hi1.Message{
		Header: hi1.Header{
			Sender: hi1.Endpoint{Country: "DE", ID: "State police"}, Receiver: hi1.Endpoint{Country: "DE", ID: "DEMO"}, Transaction: hi1.UUID(li.NewXID().String()),
			Time: time.Now(), Version: hi1.Version, ProfileOwner: hi1.ProfileOwner, ProfileVersion: hi1.ProfileVersion,
		},
		Requests: actions,
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, st.api+"/hi1/v1", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/xml")
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	m, err := hi1.DecodeXML(body.Bytes())
	if err != nil || m.Error != nil {
		t.Fatalf("%d, %v, %+v", resp.StatusCode, err, m.Error)
	}
	return m
}

func (st *story) expectHI1(t *testing.T, id hi1.UUID, status string) {
	t.Helper()
	m := st.sendHI1(t, hi1.ActionRequest{Get: &hi1.Reference{Identifier: id}})
	if got := m.Responses[0].Get.Object.(*hi1.Task).Status.Value; got != status {
		t.Errorf("%s, want %s", got, status)
	}
}
