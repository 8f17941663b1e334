package main

import (
	_ "embed"
	"fmt"
)

//go:embed example.yaml
var exampleConfig string

type configCmd struct {
	Check   configCheckCmd   `cmd:"" help:"Validate a file; every fault is printed with its line."`
	Example configExampleCmd `cmd:"" help:"Print an example that passes the check."`
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
