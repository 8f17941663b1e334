package main

import (
	"context"
)

type runCmd struct {
	Config string `required:"" type:"existingfile" help:"The deployment's config file."`
	Role   string `default:"all" help:"all, or a list of gateway, mediation, admin."`
}

// Run serves until it is told to stop.
func (c *runCmd) Run(ctx context.Context, s streams) error {
	roles, err := parseRoles(c.Role)
	if err != nil {
		return err
	}
	cfg, err := loadConfig(c.Config, roles)
	if err != nil {
		return err
	}
	log, closeLog, err := cfg.logger(s.err)
	if err != nil {
		return err
	}
	defer closeLog()
	n := newNode(cfg, roles, log)
	n.welcome = s.err
	return n.Run(ctx)
}
