package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

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
	File    string        `arg:"" type:"existingfile"`
	Key     string        `required:"" help:"The log's verifier key, as the operator gave it to you by hand."`
	Known   []string      `type:"existingfile" help:"Checkpoint that you, an agency or a witness kept (file); several times for several."`
	Witness []string      `sep:"none" help:"Verifier key of a witness whose cosignatures count; several times for several."`
	MaxGap  time.Duration `default:"10m" help:"How long an entry may have stood without any cosignature, with --witness."`
}

// Run prints what was found; a fault is an error.
func (c *auditVerifyCmd) Run(s streams) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("open export: %w", err)
	}
	defer f.Close()
	report, err := audit.VerifyWith(f, o)
	if err != nil {
		return &usageError{err}
	}
	fmt.Fprintf(s.out, "log %s: %d entries, %d erased by rule, %d checkpoints\n", report.Origin, report.Entries, report.Erased, report.Checkpoints)
	for _, w := range report.Witnesses {
		fmt.Fprintf(s.out, "witness %s: cosigned %d checkpoints, the newest of %d entries\n", w.Name, w.Checkpoints, w.Size)
	}
	for _, fault := range report.Faults {
		fmt.Fprintln(s.out, "fault:", fault)
	}
	if !report.OK() {
		return errors.New("the log was altered")
	}
	fmt.Fprintln(s.out, "the log is whole")
	return nil
}

func (c *auditVerifyCmd) options() (audit.Options, error) {
	o := audit.Options{Key: c.Key, MaxGap: c.MaxGap}
	for _, path := range c.Known {
		b, err := os.ReadFile(path)
		if err != nil {
			return o, fmt.Errorf("read kept checkpoint: %w", err)
		}
		o.Known = append(o.Known, b)
	}
	for _, key := range c.Witness {
		v, err := audit.NewWitnessVerifier(key)
		if err != nil {
			return o, &usageError{err}
		}
		o.Witnesses = append(o.Witnesses, v)
	}
	return o, nil
}
