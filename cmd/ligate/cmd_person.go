package main

import (
	"fmt"
	"path/filepath"

	"github.com/ligate/ligate/internal/pki"
)

type personCmd struct {
	Keygen personKeygenCmd `cmd:"" help:"Make a key and a certificate for one person."`
}

type personKeygenCmd struct {
	Name string `required:"" help:"The person's name, as it shall stand in the records."`
	Out  string `required:"" type:"path" help:"Folder for NAME.crt and NAME.key."`
	File string `default:"person" help:"Base name of the two files."`
	Days int    `default:"825" help:"Days of validity."`
}

// Run writes the pair and prints the fingerprint by which the person is enrolled.
func (c *personKeygenCmd) Run(s streams) error {
	crt, key := filepath.Join(c.Out, c.File+".crt"), filepath.Join(c.Out, c.File+".key")
	if err := pki.Create(crt, key, pki.Spec{CommonName: c.Name, Days: c.Days}); err != nil {
		return err
	}
	pair, err := pki.Load(crt, key)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "certificate  %s\nkey          %s (keep it; it never leaves this machine)\nfingerprint  %s\n",
		crt, key, pki.Fingerprint(pair.Certificate[0]))
	return nil
}
