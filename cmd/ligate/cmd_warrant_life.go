package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

type warrantHistoryCmd struct {
	apiFlags
	jsonFlag
	ID string `arg:""`
}

// Run shows every act on a warrant, oldest first.
func (c *warrantHistoryCmd) Run(ctx context.Context, s streams) error {
	type event struct {
		At                                                    time.Time
		Version                                               int
		Act, From, To, By, Name, Role, Source, Reason, Object string
	}
	const head = "TIME\tVERSION\tACT\tSTATE\tBY\tROLE\tFROM\tREASON"
	return list(ctx, s, c.apiFlags, c.jsonFlag, warrantPath(c.ID, "history"), head, func(e event) string {
		version, name, reason := "", e.Name, e.Reason
		if e.Version > 0 {
			version = strconv.Itoa(e.Version)
		}
		if name == "" {
			name = e.By
		}
		if reason == "" {
			reason = e.Object
		}
		return strings.Join([]string{stamp(e.At), version, e.Act, e.To, name, e.Role, e.Source, reason}, "\t")
	})
}

// orderFlags are what may differ from an order that is there already.
type orderFlags struct {
	Authority string   `help:"Who ordered the interception; default as before."`
	Reference string   `help:"The authority's file number; default as before."`
	Legal     string   `name:"legal-basis" help:"The provision the order rests on; default as before."`
	Agency    string   `help:"Id of the agency that receives; default as before."`
	Target    []string `help:"E.164 number or SIP URI; may be given several times; default as before."`
	Scope     string   `enum:",iri,iri+cc" default:"" help:"iri or iri+cc; default as before."`
	From      string   `help:"Start, RFC 3339 with zone."`
	Until     string   `help:"End, RFC 3339 with zone."`
	Notes     string   `help:"Minimisation and the like; never a target; default as before."`

	Provisional *bool  `negatable:"" help:"The original is still to come, or is not."`
	OriginalDue string `help:"When the original must have come, RFC 3339 with zone."`
}

// over lays the flags over an order.
func (f orderFlags) over(o orderBody) (orderBody, error) {
	for _, field := range []struct {
		to   *string
		flag string
	}{{&o.Authority, f.Authority}, {&o.Reference, f.Reference}, {&o.Legal, f.Legal}, {&o.Agency, f.Agency}, {&o.Scope, f.Scope}, {&o.Notes, f.Notes}} {
		if field.flag != "" {
			*field.to = field.flag
		}
	}
	if len(f.Target) > 0 {
		o.Targets = f.Target
	}
	for _, field := range []struct {
		to         *time.Time
		name, flag string
	}{{&o.From, "--from", f.From}, {&o.Until, "--until", f.Until}} {
		t, err := optionalTime(field.name, field.flag)
		if err != nil {
			return o, err
		}
		if t != nil {
			*field.to = *t
		}
	}
	if f.Provisional != nil {
		if o.Provisional = *f.Provisional; !o.Provisional {
			o.OriginalDue = nil
		}
	}
	due, err := optionalTime("--original-due", f.OriginalDue)
	if due != nil {
		o.OriginalDue = due
	}
	return o, err
}

// orderOf is the order of a warrant that is there.
func orderOf(w warrantView) orderBody {
	return orderBody{
		LIID: w.LIID, Authority: w.Authority, Reference: w.Reference, Legal: w.Legal, Agency: w.AgencyID, Targets: w.Targets, Scope: w.Scope,
		From: w.From, Until: w.Until, Notes: w.Notes, Provisional: w.Provisional, OriginalDue: w.OriginalDue,
	}
}

type warrantEditCmd struct {
	apiFlags
	orderFlags
	ID   string `arg:""`
	LIID string `name:"liid" help:"Identifier agreed with the agency; default as before."`
}

// Run changes the draft as it stands now.
func (c *warrantEditCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	w, etag, err := api.warrant(ctx, c.ID)
	if err != nil {
		return err
	}
	order, err := c.over(orderOf(w))
	if err != nil {
		return err
	}
	if c.LIID != "" {
		order.LIID = c.LIID
	}
	if _, err := api.do(ctx, http.MethodPatch, warrantPath(c.ID, ""), order, &w, header{"If-Match", etag}); err != nil {
		return err
	}
	printWarrant(s, w)
	return nil
}

type warrantExtendCmd struct {
	apiFlags
	orderFlags
	ID   string `arg:"" help:"The warrant that is extended."`
	LIID string `name:"liid" required:"" help:"Identifier of the extension, agreed with the agency."`
}

// Run drafts the extension: what is not given is as in the warrant that it extends,
// and it begins when that one ends.
func (c *warrantExtendCmd) Run(ctx context.Context, s streams) error {
	if c.Until == "" || c.Reference == "" {
		return usagef("--until, --reference: an extension is a new order with its own end and file number")
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	w, _, err := api.warrant(ctx, c.ID)
	if err != nil {
		return err
	}
	before := orderOf(w)
	before.LIID, before.From, before.Provisional, before.OriginalDue = c.LIID, w.Until, false, nil
	order, err := c.over(before)
	if err != nil {
		return err
	}
	return c.draft(ctx, s, warrantPath(c.ID, "extend"), order)
}

type warrantNarrowCmd struct {
	apiFlags
	ID      string   `arg:""`
	Keep    []string `help:"A target that stays; may be given several times; default all."`
	IRIOnly bool     `name:"iri-only" help:"Signalling only from now on."`
	Reason  string   `required:"" help:"Why; it stands on the audit log. Never name the target here."`
}

// Run narrows the warrant as it stands now.
func (c *warrantNarrowCmd) Run(ctx context.Context, s streams) error {
	body := map[string]any{"reason": c.Reason}
	if len(c.Keep) > 0 {
		body["targets"] = c.Keep
	}
	if c.IRIOnly {
		body["scope"] = "iri"
	}
	return c.act(ctx, s, c.ID, "narrow", body)
}

type warrantOriginalCmd struct {
	apiFlags
	ID     string `arg:""`
	SHA256 string `name:"sha256" xor:"paper" required:"" help:"SHA-256 of the original, 64 lower-case hexadecimal digits."`
	File   string `xor:"paper" required:"" type:"existingfile" help:"The original itself (PDF): its SHA-256 is taken; it is not sent."`
}

// Run confirms that the original came.
func (c *warrantOriginalCmd) Run(ctx context.Context, s streams) error {
	sum := c.SHA256
	if c.File != "" {
		var err error
		if sum, err = fileSHA256(c.File); err != nil {
			return err
		}
	}
	return c.act(ctx, s, c.ID, "confirm-original", map[string]any{"sha256": sum})
}
