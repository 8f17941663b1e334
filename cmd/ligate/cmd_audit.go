package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/ligate/ligate/audit"
)

type auditCmd struct {
	Export auditExportCmd `cmd:"" help:"Fetch the whole log through the API."`
	Verify auditVerifyCmd `cmd:"" help:"Check an export offline."`

	Witness auditWitnessCmd `cmd:"" help:"Cosign the checkpoints of logs, outside the operator (C2SP tlog-witness)."`
}

type auditExportCmd struct{ apiFlags }

// Run writes the export to standard output.
func (c *auditExportCmd) Run(ctx context.Context, s streams) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	_, err = api.do(ctx, http.MethodGet, "/audit/v1/export", nil, s.out)
	return err
}

type auditVerifyCmd struct {
	File string `arg:"" type:"existingfile"`
	Key  string `required:"" help:"The log's verifier key, as the operator gave it to you by hand."`
}

// Run prints what was found; a fault is an error.
func (c *auditVerifyCmd) Run(s streams) error {
	f, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("open export: %w", err)
	}
	defer f.Close()
	report, err := audit.Verify(f, c.Key)
	if err != nil {
		return &usageError{err}
	}
	fmt.Fprintf(s.out, "log %s: %d entries, %d erased by rule, %d checkpoints\n", report.Origin, report.Entries, report.Erased, report.Checkpoints)
	for _, fault := range report.Faults {
		fmt.Fprintln(s.out, "fault:", fault)
	}
	if !report.OK() {
		return errors.New("the log was altered")
	}
	fmt.Fprintln(s.out, "the log is whole")
	return nil
}
