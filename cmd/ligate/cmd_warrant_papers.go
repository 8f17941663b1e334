package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

type documentsCmd struct {
	Add  documentsAddCmd  `cmd:"" help:"Keep a paper (PDF, at most 20 MiB); it is sealed."`
	List documentsListCmd `cmd:"" help:"List a warrant's papers."`
	Get  documentsGetCmd  `cmd:"" help:"Fetch a paper as it is sealed; who holds a key opens it with age."`
}

type documentsAddCmd struct {
	apiFlags
	ID    string `arg:"" help:"The warrant."`
	File  string `arg:"" type:"existingfile" help:"The PDF."`
	Kind  string `enum:"order,other" default:"order" help:"order or other."`
	Pages int    `help:"How many pages it has."`
}

// Run sends the paper.
func (c *documentsAddCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return &usageError{err}
	}
	defer f.Close()
	query := url.Values{"kind": {c.Kind}}
	if c.Pages > 0 {
		query.Set("pages", strconv.Itoa(c.Pages))
	}
	var d documentView
	if err := api.upload(ctx, warrantPath(c.ID, "documents?"+query.Encode()), f, &d); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "document %d  %s\n", d.Number, d.SHA256)
	return nil
}

// upload sends a PDF and decodes the answer into out.
func (c *apiClient) upload(ctx context.Context, path string, pdf io.Reader, out any) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, pdf)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/pdf")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the API: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode >= http.StatusBadRequest {
		return readProblem(resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the API's answer: %w", err)
	}
	return nil
}

type documentView struct {
	Number  int       `json:"number"`
	Kind    string    `json:"kind"`
	SHA256  string    `json:"sha256"`
	Bytes   int       `json:"bytes"`
	Pages   int       `json:"pages"`
	AddedBy string    `json:"added_by"`
	AddedAt time.Time `json:"added_at"`
}

type documentsListCmd struct {
	apiFlags
	jsonFlag
	ID string `arg:"" help:"The warrant."`
}

// Run lists the papers.
func (c *documentsListCmd) Run(ctx context.Context, s streams) error {
	const head = "NUMBER\tKIND\tBYTES\tPAGES\tADDED\tBY\tSHA-256"
	return list(ctx, s, c.apiFlags, c.jsonFlag, warrantPath(c.ID, "documents"), head, func(d documentView) string {
		return strings.Join([]string{strconv.Itoa(d.Number), d.Kind, strconv.Itoa(d.Bytes), strconv.Itoa(d.Pages), stamp(d.AddedAt), d.AddedBy, d.SHA256}, "\t")
	})
}

type documentsGetCmd struct {
	apiFlags
	ID     string `arg:"" help:"The warrant."`
	Number int    `arg:"" help:"The paper's number."`
}

// Run writes the sealed paper to standard output.
func (c *documentsGetCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	_, err = api.do(ctx, http.MethodGet, warrantPath(c.ID, "documents/"+strconv.Itoa(c.Number)), nil, s.out)
	return err
}

func fileSHA256(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", &usageError{err}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", &usageError{err}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

type holdCmd struct {
	Set            holdSetCmd  `cmd:"" help:"Keep a warrant from being purged, from now on."`
	List           holdListCmd `cmd:"" help:"List a warrant's holds."`
	Confirm        holdActCmd  `cmd:"" help:"Confirm a hold as the second person."`
	Release        holdActCmd  `cmd:"" help:"Ask for the release of a hold, with a reason; it stays in force."`
	ConfirmRelease holdActCmd  `cmd:"" help:"Release a hold as the second person."`
}

type holdView struct {
	ID          string    `json:"id"`
	InForce     bool      `json:"in_force"`
	Reason      string    `json:"reason"`
	SetBy       string    `json:"set_by"`
	SetAt       time.Time `json:"set_at"`
	ConfirmedBy string    `json:"confirmed_by"`
	ReleasedBy  string    `json:"released_by"`
}

// standing says where a hold is in its life.
func (h holdView) standing() string {
	switch {
	case !h.InForce:
		return "released"
	case h.ReleasedBy != "":
		return "in force, release asked"
	case h.ConfirmedBy == "":
		return "in force, not confirmed"
	}
	return "in force"
}

type holdSetCmd struct {
	apiFlags
	ID     string `arg:"" help:"The warrant."`
	Reason string `required:"" help:"Why; it stands on the audit log. Never name the target here."`
}

// Run sets a hold.
func (c *holdSetCmd) Run(ctx context.Context, s streams) error {
	return c.hold(ctx, s, warrantPath(c.ID, "holds"), map[string]any{"reason": c.Reason})
}

// hold does something to a hold and prints how it stands.
func (f apiFlags) hold(ctx context.Context, s streams, path string, body any) error {
	api, err := f.client()
	if err != nil {
		return err
	}
	var h holdView
	if _, err := api.do(ctx, http.MethodPost, path, body, &h); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "hold %s is %s\n", h.ID, h.standing())
	return nil
}

type holdListCmd struct {
	apiFlags
	jsonFlag
	ID string `arg:"" help:"The warrant."`
}

// Run lists the holds.
func (c *holdListCmd) Run(ctx context.Context, s streams) error {
	return list(ctx, s, c.apiFlags, c.jsonFlag, warrantPath(c.ID, "holds"), "ID\tSTANDING\tSET\tBY\tREASON", func(h holdView) string {
		return strings.Join([]string{h.ID, h.standing(), stamp(h.SetAt), h.SetBy, h.Reason}, "\t")
	})
}

type holdActCmd struct {
	apiFlags
	ID     string `arg:"" help:"The warrant."`
	Hold   string `arg:"" help:"The hold."`
	Reason string `help:"Why, where a release is asked for."`
	Act    string `kong:"-"`
}

// Run does what the subcommand's name says.
func (c *holdActCmd) Run(ctx context.Context, s streams) error {
	var body any
	if c.Act == "release" {
		body = map[string]any{"reason": c.Reason}
	}
	return c.hold(ctx, s, warrantPath(c.ID, "holds/"+url.PathEscape(c.Hold)+"/"+c.Act), body)
}

const protectedPath = "/admin/v1/protected-numbers"

type protectedCmd struct {
	Add     protectedAddCmd  `cmd:"" help:"Protect a number; it counts once a second person confirms it."`
	List    protectedListCmd `cmd:"" help:"List protected numbers."`
	Confirm protectedActCmd  `cmd:"" help:"Confirm a protected number as the second person."`
	Remove  protectedActCmd  `cmd:"" help:"Remove a protected number. The first person asks, a second one removes."`
}

type protectedView struct {
	ID          string `json:"id"`
	Identity    string `json:"identity"`
	Kind        string `json:"kind"`
	ConfirmedBy string `json:"confirmed_by"`
	RemovedBy   string `json:"removed_by"`
	Gone        string `json:"removal_confirmed_by"`
}

func (p protectedView) standing() string {
	switch {
	case p.Gone != "":
		return "removed"
	case p.ConfirmedBy == "":
		return "not confirmed"
	case p.RemovedBy != "":
		return "protected, removal asked"
	}
	return "protected"
}

type protectedAddCmd struct {
	apiFlags
	Identity string `arg:"" help:"E.164 number or SIP URI."`
	Kind     string `required:"" enum:"lawyer,press,clergy,own,other" help:"lawyer, press, clergy, own or other."`
}

// Run adds the number.
func (c *protectedAddCmd) Run(ctx context.Context, s streams) error {
	return c.protected(ctx, s, protectedPath, map[string]any{"identity": c.Identity, "kind": c.Kind})
}

// protected does something to a protected number and prints how it stands.
func (f apiFlags) protected(ctx context.Context, s streams, path string, body any) error {
	api, err := f.client()
	if err != nil {
		return err
	}
	var p protectedView
	if _, err := api.do(ctx, http.MethodPost, path, body, &p); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is %s\n", p.ID, p.standing())
	return nil
}

type protectedListCmd struct {
	apiFlags
	jsonFlag
}

// Run lists the numbers.
func (c *protectedListCmd) Run(ctx context.Context, s streams) error {
	return list(ctx, s, c.apiFlags, c.jsonFlag, protectedPath, "ID\tIDENTITY\tKIND\tSTANDING", func(p protectedView) string {
		return strings.Join([]string{p.ID, p.Identity, p.Kind, p.standing()}, "\t")
	})
}

type protectedActCmd struct {
	apiFlags
	ID  string `arg:"" help:"The entry."`
	Act string `kong:"-"`
}

// Run does what the subcommand's name says.
func (c *protectedActCmd) Run(ctx context.Context, s streams) error {
	return c.protected(ctx, s, protectedPath+"/"+url.PathEscape(c.ID)+"/"+c.Act, nil)
}
