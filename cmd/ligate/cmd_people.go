package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

type peopleCmd struct {
	List    peopleListCmd    `cmd:"" help:"List staff."`
	Invite  peopleInviteCmd  `cmd:"" help:"Add a person who signs in by passkey, password or identity provider, and issue the link by which they enrol."`
	Link    peopleLinkCmd    `cmd:"" help:"Issue another link for a person, as for a second passkey."`
	Confirm peopleConfirmCmd `cmd:"" help:"Confirm a person, a link or both as the second system administrator."`
	Disable peopleDisableCmd `cmd:"" help:"End a person's access at once. One system administrator suffices."`
	Enable  peopleEnableCmd  `cmd:"" help:"Enable a disabled person again; two system administrators call it, one after the other."`
	Clear   peopleClearCmd   `cmd:"" help:"Say until when a person is cleared; confirm it with --confirm as the second system administrator."`

	Sessions       peopleSessionsCmd `cmd:"" help:"List a person's sessions."`
	RevokeSessions peopleRevokeCmd   `cmd:"" help:"Sign a person out everywhere."`
	RevokePasskeys peopleRevokeCmd   `cmd:"" help:"End all passkeys and sessions of a person, as when one was lost."`

	Token  peopleTokenCmd  `cmd:"" help:"Machine tokens: they read what they name."`
	Login  peopleLoginCmd  `cmd:"" help:"Sign in by password and TOTP; the session's token goes to a file for --token."`
	Verify peopleVerifyCmd `cmd:"" help:"Check approvals' signatures offline."`
}

const peoplePath = "/admin/v1/people"

// nameActs tells the commands that are alike apart.
func (c *peopleCmd) nameActs() {
	c.RevokeSessions.what, c.RevokePasskeys.what = "sessions", "passkeys"
}

// output is how an answer is shown.
type output struct {
	JSON bool `help:"Print the API's answer as JSON."`
}

// show prints the answer: as it came, or by print.
func (o output) show(out io.Writer, answer json.RawMessage, into any, print func() error) error {
	if o.JSON {
		_, err := fmt.Fprintln(out, string(answer))
		return err
	}
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, into); err != nil {
			return fmt.Errorf("read the API's answer: %w", err)
		}
	}
	return print()
}

// ask sends one request and returns the answer's JSON; null for none.
func (f apiFlags) ask(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	api, err := f.client()
	if err != nil {
		return nil, err
	}
	return api.ask(ctx, method, path, body)
}

func (c *apiClient) ask(ctx context.Context, method, path string, body any) (json.RawMessage, error) {
	var answer lenient
	_, err := c.do(ctx, method, path, body, &answer)
	if len(answer) == 0 {
		answer = lenient("null")
	}
	return json.RawMessage(answer), err
}

// lenient collects an answer's body, also an empty one.
type lenient []byte

// Write appends.
func (l *lenient) Write(b []byte) (int, error) {
	*l = append(*l, b...)
	return len(b), nil
}

type personListed struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Role         string     `json:"role"`
	SignIn       string     `json:"signin"`
	Confirmed    bool       `json:"confirmed"`
	Disabled     bool       `json:"disabled"`
	ClearedUntil *time.Time `json:"cleared_until"`
}

func (p personListed) state() string {
	switch {
	case p.Disabled:
		return "disabled"
	case !p.Confirmed:
		return "unconfirmed"
	case p.ClearedUntil != nil && !p.ClearedUntil.After(time.Now()):
		return "not cleared"
	}
	return "active"
}

type peopleListCmd struct {
	apiFlags
	output
}

// Run lists staff.
func (c *peopleListCmd) Run(ctx context.Context, s streams) error {
	answer, err := c.ask(ctx, http.MethodGet, peoplePath, nil)
	if err != nil {
		return err
	}
	var list struct {
		Items []personListed `json:"items"`
	}
	return c.show(s.out, answer, &list, func() error {
		table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tROLE\tSIGN-IN\tSTATE\tCLEARED UNTIL\tNAME")
		for _, p := range list.Items {
			until := "-"
			if p.ClearedUntil != nil {
				until = stamp(*p.ClearedUntil)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Role, p.SignIn, p.state(), until, p.Name)
		}
		return table.Flush()
	})
}

type peopleInviteCmd struct {
	apiFlags
	output
	Name    string `required:"" help:"The person's name, as it shall stand in the records."`
	Role    string `required:"" enum:"drafter,approver,auditor,sysadmin" help:"drafter, approver, auditor or sysadmin."`
	SignIn  string `name:"sign-in" default:"passkey" enum:"passkey,password,oidc" help:"passkey, password (with TOTP; no approver) or oidc."`
	Cleared string `help:"Until when the person is cleared, RFC 3339 with zone; default no end."`
}

// issued is an enrolment link.
type issued struct {
	ID        string    `json:"id"`
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expires_at"`
	Person    string    `json:"person"`
}

func (i issued) print(out io.Writer) error {
	_, err := fmt.Fprintf(out, "person   %s\nlink     %s\nexpires  %s\nGive the link to the person. It counts once another system administrator has run\n  ligate people confirm %s --link %s\n",
		i.Person, i.Link, stamp(i.ExpiresAt), i.Person, i.ID)
	return err
}

// Run adds the person and issues the link.
func (c *peopleInviteCmd) Run(ctx context.Context, s streams) error {
	body := map[string]any{"name": c.Name, "role": c.Role, "signin": c.SignIn}
	if c.Cleared != "" {
		until, err := parseTime("--cleared", c.Cleared)
		if err != nil {
			return err
		}
		body["cleared_until"] = until
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	var p personListed
	if _, err := api.do(ctx, http.MethodPost, peoplePath, body, &p); err != nil {
		return err
	}
	return api.issue(ctx, s.out, c.output, p.ID)
}

// issue makes a link for a person and shows it.
func (c *apiClient) issue(ctx context.Context, out io.Writer, how output, id string) error {
	var i issued
	if _, err := c.do(ctx, http.MethodPost, personPath(id, "/enrolments"), nil, &i); err != nil {
		return err
	}
	i.Person = id
	answer, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return how.show(out, answer, &i, func() error { return i.print(out) })
}

func personPath(id, rest string) string { return peoplePath + "/" + url.PathEscape(id) + rest }

type peopleLinkCmd struct {
	apiFlags
	output
	ID string `arg:""`
}

// Run issues the link.
func (c *peopleLinkCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	return api.issue(ctx, s.out, c.output, c.ID)
}

type peopleConfirmCmd struct {
	apiFlags
	ID   string `arg:""`
	Link string `help:"Id of the link to confirm too, as invite and link print it."`
	Only bool   `help:"Confirm the link only: the person is confirmed already."`
}

// Run confirms.
func (c *peopleConfirmCmd) Run(ctx context.Context, s streams) error {
	if c.Only && c.Link == "" {
		return usagef("--only: say which link with --link")
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	if !c.Only {
		if _, err := api.ask(ctx, http.MethodPost, personPath(c.ID, "/confirm"), nil); err != nil {
			return err
		}
		fmt.Fprintln(s.out, "person confirmed")
	}
	if c.Link == "" {
		return nil
	}
	if _, err := api.ask(ctx, http.MethodPost, personPath(c.ID, "/enrolments/"+url.PathEscape(c.Link)+"/confirm"), nil); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "link confirmed: it counts now")
	return nil
}

type peopleDisableCmd struct {
	apiFlags
	ID     string `arg:""`
	Reason string `required:"" help:"Stands on the audit log."`
}

// Run disables.
func (c *peopleDisableCmd) Run(ctx context.Context, s streams) error {
	if _, err := c.ask(ctx, http.MethodPost, personPath(c.ID, "/disable"), map[string]string{"reason": c.Reason}); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "disabled; all sessions have ended")
	return nil
}

type peopleEnableCmd struct {
	apiFlags
	output
	ID string `arg:""`
}

// Run asks to enable, or enables.
func (c *peopleEnableCmd) Run(ctx context.Context, s streams) error {
	answer, err := c.ask(ctx, http.MethodPost, personPath(c.ID, "/enable"), nil)
	if err != nil {
		return err
	}
	var v struct {
		Enabled bool `json:"enabled"`
	}
	return c.show(s.out, answer, &v, func() error {
		text := "asked for: another system administrator has to run this too"
		if v.Enabled {
			text = "enabled"
		}
		_, err := fmt.Fprintln(s.out, text)
		return err
	})
}

type peopleClearCmd struct {
	apiFlags
	ID      string `arg:""`
	Until   string `xor:"what" required:"" help:"RFC 3339 with zone."`
	Confirm int    `xor:"what" required:"" help:"Number of the clearance to confirm."`
}

// Run adds or confirms a clearance.
func (c *peopleClearCmd) Run(ctx context.Context, s streams) error {
	if c.Confirm > 0 {
		_, err := c.ask(ctx, http.MethodPost, personPath(c.ID, fmt.Sprintf("/clearances/%d/confirm", c.Confirm)), nil)
		if err == nil {
			fmt.Fprintln(s.out, "clearance confirmed: it counts now")
		}
		return err
	}
	until, err := parseTime("--until", c.Until)
	if err != nil {
		return err
	}
	answer, err := c.ask(ctx, http.MethodPost, personPath(c.ID, "/clearances"), map[string]any{"until": until})
	if err != nil {
		return err
	}
	var v struct {
		Number int `json:"number"`
	}
	return output{}.show(s.out, answer, &v, func() error {
		_, err := fmt.Fprintf(s.out, "It counts once another system administrator has run\n  ligate people clear %s --confirm %d\n", c.ID, v.Number)
		return err
	})
}

type peopleSessionsCmd struct {
	apiFlags
	output
	ID string `arg:""`
}

// Run lists the sessions.
func (c *peopleSessionsCmd) Run(ctx context.Context, s streams) error {
	answer, err := c.ask(ctx, http.MethodGet, personPath(c.ID, "/sessions"), nil)
	if err != nil {
		return err
	}
	var list struct {
		Items []struct {
			ID        string    `json:"id"`
			Method    string    `json:"method"`
			Source    string    `json:"source"`
			CreatedAt time.Time `json:"created_at"`
			SeenAt    time.Time `json:"seen_at"`
		} `json:"items"`
	}
	return c.show(s.out, answer, &list, func() error {
		table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tSIGN-IN\tSINCE\tLAST SEEN\tFROM")
		for _, v := range list.Items {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", v.ID, v.Method, stamp(v.CreatedAt), stamp(v.SeenAt), v.Source)
		}
		return table.Flush()
	})
}

type peopleRevokeCmd struct {
	apiFlags
	output
	ID string `arg:""`

	what string
}

// Run ends sessions, or passkeys and sessions.
func (c *peopleRevokeCmd) Run(ctx context.Context, s streams) error {
	answer, err := c.ask(ctx, http.MethodDelete, personPath(c.ID, "/"+c.what), nil)
	if err != nil {
		return err
	}
	var v struct {
		Ended int `json:"ended"`
	}
	return c.show(s.out, answer, &v, func() error {
		_, err := fmt.Fprintf(s.out, "%d %s ended\n", v.Ended, c.what)
		return err
	})
}
