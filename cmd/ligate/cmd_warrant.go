package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

type warrantCmd struct {
	List    warrantListCmd    `cmd:"" help:"List warrants, newest first."`
	Show    warrantShowCmd    `cmd:"" help:"Show one warrant."`
	Draft   warrantDraftCmd   `cmd:"" help:"Draft a warrant from a signed order."`
	Submit  warrantSubmitCmd  `cmd:"" help:"Hand a draft to the approver."`
	Approve warrantApproveCmd `cmd:"" help:"Approve as the second person: type target and end date again from the order."`
	Reject  warrantReasonCmd  `cmd:"" help:"Refuse a submitted warrant, with a reason."`
	Suspend warrantReasonCmd  `cmd:"" help:"Pause the tap, with a reason."`
	Resume  warrantReasonCmd  `cmd:"" help:"Continue a suspended tap, with a reason."`
	Revoke  warrantReasonCmd  `cmd:"" help:"Stop the tap for good, with a reason. One person suffices."`
}

const warrantsPath = "/admin/v1/warrants"

// warrantView is what the API shows of a warrant.
type warrantView struct {
	ID        string    `json:"id"`
	Version   int       `json:"version"`
	LIID      string    `json:"liid"`
	State     string    `json:"state"`
	Authority string    `json:"authority"`
	Reference string    `json:"reference"`
	Legal     string    `json:"legal_basis"`
	AgencyID  string    `json:"agency_id"`
	Targets   []string  `json:"targets"`
	Scope     string    `json:"scope"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
	Drafter   string    `json:"drafter"`
	Approver  string    `json:"approver"`
}

type warrantListCmd struct {
	apiFlags
	State string `help:"Only this state."`
}

// Run lists the warrants without their targets.
func (c *warrantListCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tLIID\tSTATE\tSCOPE\tFROM\tUNTIL")
	query := url.Values{}
	if c.State != "" {
		query.Set("state", c.State)
	}
	for {
		var page struct {
			Items []warrantView `json:"items"`
			Next  string        `json:"next"`
		}
		if _, err := api.do(ctx, http.MethodGet, warrantsPath+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		for _, w := range page.Items {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", w.ID, w.LIID, w.State, w.Scope, stamp(w.From), stamp(w.Until))
		}
		if page.Next == "" {
			return table.Flush()
		}
		query.Set("cursor", page.Next)
	}
}

type warrantShowCmd struct {
	apiFlags
	ID string `arg:""`
}

// Run shows the warrant.
func (c *warrantShowCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	w, _, err := api.warrant(ctx, c.ID)
	if err != nil {
		return err
	}
	printWarrant(s, w)
	return nil
}

type warrantDraftCmd struct {
	apiFlags
	LIID      string   `name:"liid" required:"" help:"Identifier agreed with the agency, 1 to 25 characters."`
	Authority string   `required:"" help:"Who ordered the interception."`
	Reference string   `required:"" help:"The authority's file number."`
	Legal     string   `name:"legal-basis" required:"" help:"The provision the order rests on."`
	Agency    string   `required:"" help:"Id of the agency that receives."`
	Target    []string `required:"" help:"E.164 number or SIP URI; may be given several times."`
	Scope     string   `required:"" enum:"iri,iri+cc" help:"iri (signalling only) or iri+cc (with content)."`
	From      string   `help:"Start, RFC 3339 with zone; default now."`
	Until     string   `required:"" help:"End, RFC 3339 with zone."`
}

// Run drafts the warrant.
func (c *warrantDraftCmd) Run(ctx context.Context, s streams) error {
	until, err := parseTime("--until", c.Until)
	if err != nil {
		return err
	}
	from := time.Now().UTC().Truncate(time.Second)
	if c.From != "" {
		if from, err = parseTime("--from", c.From); err != nil {
			return err
		}
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	var w warrantView
	_, err = api.do(ctx, http.MethodPost, warrantsPath, map[string]any{
		"liid": c.LIID, "authority": c.Authority, "reference": c.Reference, "legal_basis": c.Legal,
		"agency_id": c.Agency, "targets": c.Target, "scope": c.Scope, "from": from, "until": until,
	}, &w, header{"Idempotency-Key", randomKey()})
	if err != nil {
		return err
	}
	printWarrant(s, w)
	return nil
}

type warrantSubmitCmd struct {
	apiFlags
	ID string `arg:""`
}

// Run submits the draft as it stands now.
func (c *warrantSubmitCmd) Run(ctx context.Context, s streams) error {
	return c.act(ctx, s, c.ID, "submit", nil)
}

type warrantApproveCmd struct {
	apiFlags
	ID     string   `arg:""`
	Target []string `required:"" help:"The target, typed again from the order."`
	Until  string   `required:"" help:"The end date, typed again from the order, RFC 3339 with zone."`
}

// Run approves the version that stands now.
func (c *warrantApproveCmd) Run(ctx context.Context, s streams) error {
	until, err := parseTime("--until", c.Until)
	if err != nil {
		return err
	}
	return c.act(ctx, s, c.ID, "approve", map[string]any{"targets": c.Target, "until": until})
}

type warrantReasonCmd struct {
	apiFlags
	ID     string `arg:""`
	Reason string `required:"" help:"Why; it stands on the audit log. Never name the target here."`
	Act    string `kong:"-"`
}

// Run does what the subcommand's name says.
func (c *warrantReasonCmd) Run(ctx context.Context, s streams) error {
	return c.act(ctx, s, c.ID, c.Act, map[string]any{"reason": c.Reason})
}

// nameActs tells the subcommands that share a type which act each of them is.
func (w *warrantCmd) nameActs() {
	w.Reject.Act, w.Suspend.Act, w.Resume.Act, w.Revoke.Act = "reject", "suspend", "resume", "revoke"
}

// act reads the warrant for its version and then does the act on exactly that one.
func (f apiFlags) act(ctx context.Context, s streams, id, act string, body any) error {
	api, err := f.client()
	if err != nil {
		return err
	}
	_, etag, err := api.warrant(ctx, id)
	if err != nil {
		return err
	}
	var w warrantView
	path := warrantsPath + "/" + url.PathEscape(id) + "/" + act
	if _, err := api.do(ctx, http.MethodPost, path, body, &w, header{"If-Match", etag}); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is %s\n", w.LIID, w.State)
	return nil
}

func (c *apiClient) warrant(ctx context.Context, id string) (w warrantView, etag string, err error) {
	etag, err = c.do(ctx, http.MethodGet, warrantsPath+"/"+url.PathEscape(id), nil, &w)
	return w, etag, err
}

func printWarrant(s streams, w warrantView) {
	targets := strings.Join(w.Targets, ", ")
	if targets == "" {
		targets = "(not shown: type them from the order)"
	}
	fmt.Fprintf(s.out, "id         %s\nversion    %d\nliid       %s\nstate      %s\nscope      %s\nauthority  %s, %s (%s)\ntargets    %s\nfrom       %s\nuntil      %s\n",
		w.ID, w.Version, w.LIID, w.State, w.Scope, w.Authority, w.Reference, w.Legal, targets, stamp(w.From), stamp(w.Until))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func parseTime(flag, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, usagef("%s: want a time with zone such as 2026-12-31T23:59:59Z", flag)
	}
	return t.UTC(), nil
}

func randomKey() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
