package main

import (
	"context"
	"fmt"

	"github.com/ligate/ligate/migrations"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply what is missing."`
	Status migrateStatusCmd `cmd:"" help:"List migrations and whether they were applied."`
}

type databaseFlag struct {
	Database string `required:"" env:"LIGATE_DATABASE" help:"postgres://… of the database's owner."`
}

type migrateUpCmd struct{ databaseFlag }

// check refuses what is no address of Postgres, without quoting it: it may hold a
// password.
func (f databaseFlag) check() error {
	if !validPostgresURL(f.Database) {
		return usagef("--database: want postgres://USER@HOST/DATABASE")
	}
	return nil
}

// Run applies the migrations.
func (c *migrateUpCmd) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := migrations.Up(ctx, c.Database); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "schema is up to date")
	return nil
}

type migrateStatusCmd struct{ databaseFlag }

// Run lists the migrations.
func (c *migrateStatusCmd) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	all, err := migrations.Status(ctx, c.Database)
	if err != nil {
		return err
	}
	for _, m := range all {
		fmt.Fprintf(s.out, "%-40s applied=%t\n", m.Name, m.Applied)
	}
	return nil
}
