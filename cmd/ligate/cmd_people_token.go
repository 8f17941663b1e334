package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ligate/ligate/api/auth/approval"
)

type peopleTokenCmd struct {
	List    tokenListCmd    `cmd:"" help:"List machine tokens."`
	Add     tokenAddCmd     `cmd:"" help:"Make a machine token; it is shown once."`
	Confirm tokenConfirmCmd `cmd:"" help:"Confirm a machine token as the second system administrator."`
	Revoke  tokenRevokeCmd  `cmd:"" help:"End a machine token at once."`
}

const tokensPath = "/admin/v1/tokens"

type tokenListed struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Role       string     `json:"role"`
	Operations []string   `json:"operations"`
	Confirmed  bool       `json:"confirmed"`
	ExpiresAt  time.Time  `json:"expires_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
	Token      string     `json:"token"`
}

func (t tokenListed) state() string {
	switch {
	case t.RevokedAt != nil:
		return "revoked"
	case !t.ExpiresAt.After(time.Now()):
		return "expired"
	case !t.Confirmed:
		return "unconfirmed"
	}
	return "active"
}

type tokenListCmd struct {
	apiFlags
	output
}

// Run lists the tokens.
func (c *tokenListCmd) Run(ctx context.Context, s streams) error {
	answer, err := c.ask(ctx, http.MethodGet, tokensPath, nil)
	if err != nil {
		return err
	}
	var list struct {
		Items []tokenListed `json:"items"`
	}
	return c.show(s.out, answer, &list, func() error {
		table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tROLE\tSTATE\tEXPIRES\tOPERATIONS\tNAME")
		for _, t := range list.Items {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Role, t.state(), stamp(t.ExpiresAt), strings.Join(t.Operations, ","), t.Name)
		}
		return table.Flush()
	})
}

type tokenAddCmd struct {
	apiFlags
	output
	Name      string        `required:"" help:"What the token is for."`
	Role      string        `required:"" enum:"drafter,auditor,sysadmin" help:"It reads at most what this role reads."`
	Operation []string      `required:"" help:"Operation id of the API's document, such as list-alarms; may be given several times."`
	For       time.Duration `default:"720h" help:"How long it counts, at most 2160h (90 days)."`
}

// Run makes the token.
func (c *tokenAddCmd) Run(ctx context.Context, s streams) error {
	answer, err := c.ask(ctx, http.MethodPost, tokensPath, map[string]any{
		"name": c.Name, "role": c.Role, "operations": c.Operation, "expires_at": time.Now().Add(c.For).UTC(),
	})
	if err != nil {
		return err
	}
	var t tokenListed
	return c.show(s.out, answer, &t, func() error {
		_, err := fmt.Fprintf(s.out, "id     %s\ntoken  %s\nIt is not shown again, and counts once another system administrator has run\n  ligate people token confirm %s\n", t.ID, t.Token, t.ID)
		return err
	})
}

type tokenConfirmCmd struct {
	apiFlags
	ID string `arg:""`
}

// Run confirms the token.
func (c *tokenConfirmCmd) Run(ctx context.Context, s streams) error {
	_, err := c.ask(ctx, http.MethodPost, tokensPath+"/"+url.PathEscape(c.ID)+"/confirm", nil)
	if err == nil {
		fmt.Fprintln(s.out, "token confirmed: it counts now")
	}
	return err
}

type tokenRevokeCmd struct {
	apiFlags
	ID string `arg:""`
}

// Run ends the token.
func (c *tokenRevokeCmd) Run(ctx context.Context, s streams) error {
	_, err := c.ask(ctx, http.MethodDelete, tokensPath+"/"+url.PathEscape(c.ID), nil)
	if err == nil {
		fmt.Fprintln(s.out, "token revoked")
	}
	return err
}

type peopleLoginCmd struct {
	API    string `env:"LIGATE_API" default:"https://127.0.0.1:8440" help:"Base URL of the API."`
	Server string `env:"LIGATE_SERVER" required:"" help:"SHA-256 fingerprint of the API's certificate."`
	Name   string `required:"" help:"Your name, as it stands in the records."`
	Out    string `required:"" type:"path" help:"File for the session's token; it must not exist."`
	Secret string `required:"" type:"existingfile" help:"File or pipe with two lines: password and TOTP code; /dev/stdin reads them from the terminal."`
}

// Run signs in and keeps the token.
func (c *peopleLoginCmd) Run(ctx context.Context, s streams) error {
	if !validFingerprint(c.Server) {
		return usagef("--server: want the SHA-256 of the API's certificate: 64 lower-case hexadecimal digits")
	}
	password, code, err := readSecret(c.Secret)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &usageError{err}
	}
	api := apiFlags{API: c.API, Server: c.Server}.with(tls.Certificate{}, "")
	var v struct {
		Token   string `json:"token"`
		Session struct {
			ExpiresAt time.Time `json:"expires_at"`
		} `json:"session"`
	}
	body := map[string]any{"name": c.Name, "password": password, "code": code, "bearer": true}
	if _, err = api.do(ctx, http.MethodPost, "/auth/v1/password/login", body, &v); err == nil {
		_, err = fmt.Fprintln(file, v.Token)
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(c.Out) // what is there is no token
		return err
	}
	fmt.Fprintf(s.out, "signed in until %s at most; use --token %s\n", stamp(v.Session.ExpiresAt), c.Out)
	return nil
}

func readSecret(path string) (password, code string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", "", &usageError{fmt.Errorf("open secret: %w", err)}
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for _, into := range []*string{&password, &code} {
		if !lines.Scan() {
			return "", "", usagef("--secret: want two lines: password and TOTP code")
		}
		*into = lines.Text()
	}
	return password, strings.TrimSpace(code), nil
}

type peopleVerifyCmd struct {
	File string `arg:"" type:"existingfile" help:"What GET /auth/v1/approvals/ID answered."`
}

// Run checks each record against itself.
func (c *peopleVerifyCmd) Run(s streams) error {
	b, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("read approvals: %w", err)
	}
	var list struct {
		Items []approval.Signature `json:"items"`
	}
	if err := json.Unmarshal(b, &list); err != nil || len(list.Items) == 0 {
		return usagef("want the JSON of GET /auth/v1/approvals/ID with at least one approval")
	}
	bad := 0
	for _, r := range list.Items {
		result := "holds"
		if err := approval.Verify(r.Approval()); err != nil {
			result = err.Error()
			bad++
		}
		fmt.Fprintf(s.out, "warrant %s version %d person %s: %s\n", r.Warrant, r.Version, r.Person, result)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d approvals do not hold", bad, len(list.Items))
	}
	return nil
}
