package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

type warrantCmd struct {
	List            warrantListCmd      `cmd:"" help:"List warrants, newest first."`
	Show            warrantShowCmd      `cmd:"" help:"Show one warrant."`
	History         warrantHistoryCmd   `cmd:"" help:"Show every act on a warrant: who, what, when, why, from where."`
	Intervals       warrantIntervalsCmd `cmd:"" help:"Show when the tap was allowed."`
	Receipts        warrantReceiptsCmd  `cmd:"" help:"Show what the agency confirmed to have."`
	Retention       warrantRetentionCmd `cmd:"" help:"Show how long each kind of record is kept, by the jurisdiction profile."`
	Draft           warrantDraftCmd     `cmd:"" help:"Draft a warrant from a signed order."`
	Edit            warrantEditCmd      `cmd:"" help:"Change a draft, or a rejected warrant, which becomes a draft again."`
	Submit          warrantSubmitCmd    `cmd:"" help:"Hand a draft to the approver."`
	Approve         warrantApproveCmd   `cmd:"" help:"Approve as the second person (or the third, of a protected number): type target and end date again from the order."`
	Reject          warrantReasonCmd    `cmd:"" help:"Refuse a submitted warrant, with a reason."`
	Suspend         warrantReasonCmd    `cmd:"" help:"Pause the tap, with a reason."`
	Resume          warrantReasonCmd    `cmd:"" help:"Continue a suspended tap, with a reason."`
	Narrow          warrantNarrowCmd    `cmd:"" help:"Tap less at once: fewer targets, or signalling only. One person suffices."`
	Extend          warrantExtendCmd    `cmd:"" help:"Draft the successor of a warrant by a new order; it is approved as any other."`
	ConfirmOriginal warrantOriginalCmd  `cmd:"" help:"The original of a provisional order came: its quarantine ends."`
	Revoke          warrantReasonCmd    `cmd:"" help:"Stop the tap for good, with a reason. One person suffices."`
	Purge           warrantReasonCmd    `cmd:"" help:"Destroy what was intercepted. The first person asks, a second one destroys."`
	Documents       documentsCmd        `cmd:"" help:"Papers of a warrant, sealed."`
	Hold            holdCmd             `cmd:"" help:"Legal holds, which keep a purge off."`
	Protected       protectedCmd        `cmd:"" help:"Protected numbers, which take a third approval."`
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
	Notes     string    `json:"notes"`

	Provisional    bool       `json:"provisional"`
	OriginalDue    *time.Time `json:"original_due"`
	Protected      bool       `json:"protected"`
	SecondApprover string     `json:"second_approver"`
	PurgeBy        string     `json:"purge_by"`
	Predecessor    string     `json:"predecessor"`
	Successors     []struct {
		LIID  string `json:"liid"`
		State string `json:"state"`
	} `json:"successors"`
}

// jsonFlag turns a table into the API's own answer.
type jsonFlag struct {
	JSON bool `name:"json" help:"Print JSON instead of a table."`
}

type warrantListCmd struct {
	apiFlags
	jsonFlag
	State string `help:"Only this state."`

	Target string `help:"Only warrants that name exactly this number or SIP URI."`
}

// Run lists the warrants without their targets.
func (c *warrantListCmd) Run(ctx context.Context, s streams) error {
	query := url.Values{}
	if c.State != "" {
		query.Set("state", c.State)
	}
	if c.Target != "" {
		query.Set("target", c.Target)
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	all := []json.RawMessage{}
	for {
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
		}
		if _, err := api.do(ctx, http.MethodGet, warrantsPath+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		if all = append(all, page.Items...); page.Next == "" {
			break
		}
		query.Set("cursor", page.Next)
	}
	return printItems(s, c.jsonFlag, all, "ID\tLIID\tSTATE\tSCOPE\tFROM\tUNTIL", func(w warrantView) string {
		return strings.Join([]string{w.ID, w.LIID, w.State, w.Scope, stamp(w.From), stamp(w.Until)}, "\t")
	})
}

// printItems prints a list as JSON or as a table, a line each.
func printItems[T any](s streams, format jsonFlag, items []json.RawMessage, head string, line func(T) string) error {
	if format.JSON {
		return json.NewEncoder(s.out).Encode(map[string]any{"items": items})
	}
	table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, head)
	for _, item := range items {
		var v T
		if err := json.Unmarshal(item, &v); err != nil {
			return fmt.Errorf("read the API's answer: %w", err)
		}
		fmt.Fprintln(table, line(v))
	}
	return table.Flush()
}

// list asks for a list that comes whole, and prints it.
func list[T any](ctx context.Context, s streams, f apiFlags, format jsonFlag, path, head string, line func(T) string) error {
	api, err := f.client()
	if err != nil {
		return err
	}
	var all struct {
		Items []json.RawMessage `json:"items"`
	}
	if _, err := api.do(ctx, http.MethodGet, path, nil, &all); err != nil {
		return err
	}
	if all.Items == nil {
		all.Items = []json.RawMessage{}
	}
	return printItems(s, format, all.Items, head, line)
}

type warrantShowCmd struct {
	apiFlags
	jsonFlag
	ID string `arg:""`
}

// Run shows the warrant.
func (c *warrantShowCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if c.JSON {
		_, err = api.do(ctx, http.MethodGet, warrantPath(c.ID, ""), nil, s.out)
		return err
	}
	w, _, err := api.warrant(ctx, c.ID)
	if err != nil {
		return err
	}
	printWarrant(s, w)
	return nil
}

// warrantPath is the address of a warrant, or of an act on it.
func warrantPath(id, act string) string {
	path := warrantsPath + "/" + url.PathEscape(id)
	if act != "" {
		path += "/" + act
	}
	return path
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
	Notes     string   `help:"Minimisation and the like; never a target."`

	Provisional bool   `help:"The original is still to come: what is taken is quarantined until it does."`
	OriginalDue string `help:"When the original must have come, RFC 3339 with zone; default what the profile says."`
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
	order := orderBody{
		LIID: c.LIID, Authority: c.Authority, Reference: c.Reference, Legal: c.Legal, Agency: c.Agency, Targets: c.Target, Scope: c.Scope,
		From: from, Until: until, Notes: c.Notes, Provisional: c.Provisional,
	}
	if order.OriginalDue, err = optionalTime("--original-due", c.OriginalDue); err != nil {
		return err
	}
	return c.draft(ctx, s, warrantsPath, order)
}

// orderBody is an order as the API takes it.
type orderBody struct {
	LIID        string     `json:"liid"`
	Authority   string     `json:"authority"`
	Reference   string     `json:"reference"`
	Legal       string     `json:"legal_basis"`
	Agency      string     `json:"agency_id"`
	Targets     []string   `json:"targets"`
	Scope       string     `json:"scope"`
	From        time.Time  `json:"from"`
	Until       time.Time  `json:"until"`
	Notes       string     `json:"notes,omitempty"`
	Provisional bool       `json:"provisional,omitempty"`
	OriginalDue *time.Time `json:"original_due,omitempty"`
}

// draft makes a draft and shows it.
func (f apiFlags) draft(ctx context.Context, s streams, path string, order orderBody) error {
	api, err := f.client()
	if err != nil {
		return err
	}
	var w warrantView
	if _, err := api.do(ctx, http.MethodPost, path, order, &w, header{"Idempotency-Key", randomKey()}); err != nil {
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
	w.Purge.Act = "purge"
	w.Hold.Confirm.Act, w.Hold.Release.Act, w.Hold.ConfirmRelease.Act = "confirm", "release", "confirm-release"
	w.Protected.Confirm.Act, w.Protected.Remove.Act = "confirm", "remove"
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
	if _, err := api.do(ctx, http.MethodPost, warrantPath(id, act), body, &w, header{"If-Match", etag}); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is %s%s\n", w.LIID, w.State, waits(w))
	return nil
}

// waits says for whom a warrant waits, if its state does not.
func waits(w warrantView) string {
	switch {
	case w.State == "submitted" && w.Approver != "":
		return "; a target is protected: another approver has to approve too"
	case w.PurgeBy != "" && w.State != "purged":
		return "; another person has to confirm the purge"
	case w.Provisional && w.OriginalDue != nil:
		return "; the original is due by " + stamp(*w.OriginalDue)
	}
	return ""
}

func (c *apiClient) warrant(ctx context.Context, id string) (w warrantView, etag string, err error) {
	etag, err = c.do(ctx, http.MethodGet, warrantPath(id, ""), nil, &w)
	return w, etag, err
}

func printWarrant(s streams, w warrantView) {
	targets := strings.Join(w.Targets, ", ")
	if targets == "" {
		targets = "(not shown: type them from the order)"
	}
	fmt.Fprintf(s.out, "id         %s\nversion    %d\nliid       %s\nstate      %s\nscope      %s\nauthority  %s, %s (%s)\ntargets    %s\nfrom       %s\nuntil      %s\n",
		w.ID, w.Version, w.LIID, w.State, w.Scope, w.Authority, w.Reference, w.Legal, targets, stamp(w.From), stamp(w.Until))
	if w.Provisional && w.OriginalDue != nil {
		fmt.Fprintf(s.out, "original   due by %s; until it comes nothing is handed over\n", stamp(*w.OriginalDue))
	}
	if w.Protected {
		fmt.Fprintln(s.out, "protected  a target is: a third person approves")
	}
	if w.Predecessor != "" {
		fmt.Fprintf(s.out, "extends    %s\n", w.Predecessor)
	}
	for _, next := range w.Successors {
		fmt.Fprintf(s.out, "extension  %s (%s)\n", next.LIID, next.State)
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func parseTime(flag, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, usagef("%s: want a time with zone such as 2026-12-31T23:59:59Z", flag)
	}
	return t.UTC(), nil
}

// optionalTime reads a flag that may be left out.
func optionalTime(flag, s string) (*time.Time, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // left out is no error
	}
	t, err := parseTime(flag, s)
	return &t, err
}

func randomKey() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
