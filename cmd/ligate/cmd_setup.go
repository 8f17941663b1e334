package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ligate/ligate/internal/pki"
	"github.com/ligate/ligate/warrant"
)

type setupCmd struct {
	Config string   `required:"" type:"existingfile" help:"The deployment's config file; ligate must not be running."`
	Person []string `xor:"who" required:"" help:"ROLE:CERTIFICATE.crt with role drafter, approver, auditor or sysadmin; at least two sysadmins. The name is the certificate's."`
	Link   bool     `xor:"who" required:"" help:"Instead: print the link by which the first two system administrators enrol their passkeys (admin.sign_in)."`
}

// Run enrols the first people and prints what they need to sign in.
func (c *setupCmd) Run(ctx context.Context, s streams) error {
	cfg, err := loadConfig(c.Config, []role{roleAdmin})
	if err != nil {
		return err
	}
	if c.Link && cfg.Admin.SignIn.Origin == "" {
		return usagef("--link: admin.sign_in.origin in the config says where the pages are: set it first")
	}
	var people []warrant.Person
	for _, arg := range c.Person {
		p, err := parsePerson(arg)
		if err != nil {
			return err
		}
		people = append(people, p)
	}
	log, closeLog, err := cfg.logger(s.err)
	if err != nil {
		return err
	}
	defer closeLog()
	db, err := openDatabase(ctx, cfg, log)
	if err != nil {
		return err
	}
	if c.Link {
		return errors.Join(bootstrapLink(ctx, s.out, cfg, db), db.stop())
	}
	return errors.Join(c.enrol(ctx, s, cfg, db, people), db.stop())
}

func (c *setupCmd) enrol(ctx context.Context, s streams, cfg *config, db *database, people []warrant.Person) error {
	people, err := db.warrants.EnrolFirst(ctx, people)
	var rule *warrant.RuleError
	if errors.As(err, &rule) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	for _, p := range people {
		fmt.Fprintf(s.out, "enrolled  %-9s %s\n", p.Role, p.Name)
	}
	api, err := cfg.secrets().api(cfg.Admin.Names)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "API certificate (give it to everybody as --server): %s\n", pki.Fingerprint(api.Certificate[0]))
	fmt.Fprintf(s.out, "audit log's verifier key (give it to the auditor by hand): %s\n", cfg.secrets().path("audit.pub"))
	return nil
}

func parsePerson(arg string) (warrant.Person, error) {
	name, file, ok := strings.Cut(arg, ":")
	role, err := warrant.ParseRole(name)
	if !ok || err != nil {
		return warrant.Person{}, usagef("--person: want ROLE:CERTIFICATE.crt with role drafter, approver, auditor or sysadmin")
	}
	cert, err := readCertificate(file)
	if err != nil {
		return warrant.Person{}, &usageError{err}
	}
	return warrant.Person{Name: cert.Subject.CommonName, Role: role, Cert: pki.Fingerprint(cert.Raw)}, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s: want a certificate in PEM", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cert, nil
}
