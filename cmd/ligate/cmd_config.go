package main

import (
	"crypto/tls"
	_ "embed"
	"fmt"
	"os"

	"github.com/ligate/ligate/internal/pki"
)

//go:embed example.yaml
var exampleConfig string

type configCmd struct {
	Check   configCheckCmd   `cmd:"" help:"Validate a file; every fault is printed with its line."`
	Example configExampleCmd `cmd:"" help:"Print an example that passes the check."`

	Certificates configCertificatesCmd `cmd:"" help:"Print the fingerprints that roles in other processes pin; makes the keys if they are not there."`
}

type configCheckCmd struct {
	File string `arg:"" type:"existingfile"`
	Role string `default:"all" help:"Roles to check for: all, or a list of gateway, mediation, admin."`
}

// Run checks the file.
func (c *configCheckCmd) Run(s streams) error {
	roles, err := parseRoles(c.Role)
	if err != nil {
		return err
	}
	if _, err := loadConfig(c.File, roles); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "config is valid")
	return nil
}

type configExampleCmd struct{}

// Run prints the example.
func (c *configExampleCmd) Run(s streams) error {
	_, err := fmt.Fprint(s.out, exampleConfig)
	return err
}

type configCertificatesCmd struct {
	File string `arg:"" type:"existingfile"`
}

// Run prints one line a certificate. It does not check the file: certificates are
// needed to complete it.
func (c *configCertificatesCmd) Run(s streams) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	cfg, d := decodeConfig(text)
	if len(d.faults) > 0 {
		return &configError{File: c.File, Faults: d.faults}
	}
	if cfg.DataDir == "" {
		return usagef("data_dir: required: the folder for all state")
	}
	cfg.setDefaults()
	for _, key := range []func() ([]byte, error){cfg.secrets().busKey, cfg.secrets().dropKey} { // for the other nodes of a cluster to copy
		if _, err := key(); err != nil {
			return err
		}
	}
	for _, cert := range []struct {
		name, use string
		load      func() (tls.Certificate, error)
	}{
		{"api", "--server of people and agencies", func() (tls.Certificate, error) { return cfg.secrets().api(cfg.Admin.Names) }},
		{"x1-admf", "gateway.x1.certificate", cfg.secrets().admf},
		{"x1-ne", "admin.gateways[].certificate", func() (tls.Certificate, error) { return cfg.secrets().ne(cfg.Gateway.ID) }},
		{"bus", "mediation.sources[].certificate", cfg.secrets().busServer},
		{"mdf", "bus.mediation_certificate", cfg.secrets().mdf},
		{"handover", "what an agency's LEMF sees: agency listen --client", cfg.secrets().handover},
		{"integrity", "signs integrity checks: give integrity.crt to the agency for agency listen --signer", cfg.secrets().integrity},
		{"x2x3", "what network elements see on X2 and X3", cfg.x2x3Certificate},
		{"export", "mediation.elements[].certificate where gateway.export leads", cfg.exportCertificate},
	} {
		pair, err := cert.load()
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%-9s %s  %s\n", cert.name, pki.Fingerprint(pair.Certificate[0]), cert.use)
	}
	return nil
}
