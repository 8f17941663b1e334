package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"

	"github.com/ligate/ligate/mediation/evidence/bundle"
)

type verifyCmd struct {
	Bundle   string `arg:"" type:"existingfile" help:"An evidence bundle (zip)."`
	Operator string `help:"SHA-256 fingerprint of the operator's evidence certificate, as the operator gave it to you by another way."`
	Log      string `type:"existingfile" help:"File with the verifier key of the operator's audit log, likewise."`
}

// Run checks a bundle without any network. What is broken is named; exit 1.
func (c *verifyCmd) Run(s streams) error {
	known := bundle.Known{Operator: c.Operator, Version: version}
	if c.Operator != "" && !validFingerprint(c.Operator) {
		return usagef("--operator: want the SHA-256 of the certificate: 64 lower-case hexadecimal digits")
	}
	if c.Log != "" {
		b, err := os.ReadFile(c.Log)
		if err != nil {
			return fmt.Errorf("read the log's verifier key: %w", err)
		}
		known.Log = strings.TrimSpace(string(b))
	}
	r, err := bundle.Verify(c.Bundle, known)
	if err != nil {
		return err
	}
	for _, f := range r.Faults {
		fmt.Fprintf(s.out, "fault: %s\n", printable(f))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(s.out, "note: %s\n", printable(n))
	}
	if !r.OK() {
		return errors.New("the bundle was altered or is not complete")
	}
	fmt.Fprintf(s.out, "operator's certificate %s\nSHA-256 of tagmanifest-sha256.txt %s\n", r.Operator, r.Hash)
	if c.Operator == "" {
		fmt.Fprintln(s.out, "compare the certificate with the one that the operator gave you by another way, or name it with --operator")
	}
	fmt.Fprintln(s.out, "the bundle is whole")
	return nil
}

// printable keeps names that a bundle brings from writing to the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
