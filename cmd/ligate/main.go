// Command ligate is the lawful-interception mediation gateway: the gateway (POI),
// mediation (MDF) and administration (ADMF) roles, and the tools of the compliance
// officer, the agency and the auditor.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes. exitUsage is for input that must be changed before trying again.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// cli is the whole command line.
type cli struct {
	Demo     demoCmd     `cmd:"" help:"Play the whole path on loopback: warrant, call, tap, delivery, audit."`
	Run      runCmd      `cmd:"" help:"Run a deployment from a config file."`
	Config   configCmd   `cmd:"" help:"Check a config file or print an example."`
	Setup    setupCmd    `cmd:"" help:"The ceremony on a fresh installation: enrol the first people."`
	Secrets  secretsCmd  `cmd:"" help:"Change the keys that seal targets in the database."`
	Migrate  migrateCmd  `cmd:"" help:"Bring the database schema up to date, or show where it stands."`
	Person   personCmd   `cmd:"" help:"Make a person's key and certificate."`
	People   peopleCmd   `cmd:"" help:"Manage staff, their sessions and machine tokens through the API (system administrator)."`
	Warrant  warrantCmd  `cmd:"" help:"Manage warrants through the API (compliance officer)."`
	Agency   agencyCmd   `cmd:"" help:"The agency's side: keys, fetch, open."`
	Bench    benchCmd    `cmd:"" help:"Measure this machine: relay, tee, SIP, mediation, sealing."`
	Verify   verifyCmd   `cmd:"" help:"Check an evidence bundle offline (court, agency)."`
	Selftest selftestCmd `cmd:"" help:"Place a call on a test line and check that it arrives as it was said (operator, daily)."`
	Audit    auditCmd    `cmd:"" help:"Export and verify the audit log (auditor)."`
}

// streams are what a command may write to.
type streams struct {
	out io.Writer // what was asked for
	err io.Writer // progress and errors
}

// usageError marks input that must be changed; it exits with exitUsage.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var c cli
	c.Warrant.nameActs()
	c.People.nameActs()
	exit := -1
	parser, err := kong.New(&c, kong.Name("ligate"), kong.Writers(out, errOut), kong.UsageOnError(),
		kong.Description("Lawful-interception mediation gateway for VoIP operators."),
		kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(streams{out: out, err: errOut}))
	if err != nil {
		fmt.Fprintln(errOut, "ligate:", err)
		return exitError
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 { // --help has printed
		return exit
	}
	if err != nil {
		fmt.Fprintln(errOut, "ligate:", err)
		return exitUsage
	}
	return report(parsed.Run(), errOut)
}

func report(err error, errOut io.Writer) int {
	var usage *usageError
	var config *configError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &config):
		fmt.Fprintln(errOut, config)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintln(errOut, "ligate:", err)
		return exitUsage
	}
	fmt.Fprintln(errOut, "ligate:", err)
	return exitError
}
