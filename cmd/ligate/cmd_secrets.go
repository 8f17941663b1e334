package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ligate/ligate/warrant/pgstore"
	"github.com/ligate/ligate/warrant/sealing"
)

type secretsCmd struct {
	Rotate secretsRotateCmd `cmd:"" help:"A new master key for the targets in the database, or new keys of the rows too."`
	Seal   secretsSealCmd   `cmd:"" help:"Seal what an earlier build wrote in clear. Needed once, after an update."`
}

// ownerFlags are what a command on the database's owner needs.
type ownerFlags struct {
	Config   string `required:"" type:"existingfile" help:"The deployment's config file."`
	Database string `env:"LIGATE_DATABASE" help:"postgres://… of the database's owner; not with the private Postgres, for which ligate must not be running."`
}

type secretsRotateCmd struct {
	ownerFlags
	Data       bool   `help:"A new key of the rows: all are sealed anew, in one transaction."`
	Hash       bool   `help:"New hashes of targets too; with it goes --data."`
	KeepMaster bool   `help:"Leave the master key as it is."`
	NewMaster  string `type:"existingfile" help:"File of the new master key, 32 octets, where the one in use is a credential or a file of yours: install it after this command."`
}

type secretsSealCmd struct{ ownerFlags }

// Run changes keys.
func (c *secretsRotateCmd) Run(ctx context.Context, s streams) error {
	r := pgstore.Rotation{Rows: c.Data || c.Hash, Hashes: c.Hash}
	if c.KeepMaster && c.NewMaster != "" {
		return usagef("--keep-master and --new-master: want one of them")
	}
	if c.KeepMaster && !r.Rows {
		return usagef("--keep-master: want --data or --hash with it, or nothing changes")
	}
	return c.rotate(ctx, s, func(f masterFile) (pgstore.Rotation, error) {
		switch {
		case c.KeepMaster:
		case c.NewMaster != "":
			r.Master = func(string) (*sealing.Master, error) { return f.read(c.NewMaster) }
		case f.own:
			r.Master, r.Committed = f.prepare, f.finish
		default:
			return r, usagef("--new-master: required, since %s is not ligate's to change", f.path)
		}
		return r, nil
	})
}

// Run seals old rows.
func (c *secretsSealCmd) Run(ctx context.Context, s streams) error {
	return c.rotate(ctx, s, func(masterFile) (pgstore.Rotation, error) { return pgstore.Rotation{}, nil })
}

func (c *ownerFlags) rotate(ctx context.Context, s streams, with func(masterFile) (pgstore.Rotation, error)) error {
	cfg, err := loadConfig(c.Config, []role{roleAdmin})
	if err != nil {
		return err
	}
	if cfg.Database.URL != "" && !validPostgresURL(c.Database) {
		return usagef("--database: want postgres://USER@HOST/DATABASE of the database's owner")
	}
	r, err := with(cfg.masterKey())
	if err != nil {
		return err
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
	done, err := rotateAsOwner(ctx, cfg, db, c.Database, r)
	if done.Key != "" {
		fmt.Fprintf(s.out, "rows sealed: %d, of which in clear before: %d\nkey %s under master key %s\n", done.Rows, done.Clear, done.Key, done.Master)
	}
	return errors.Join(err, db.stop())
}

// rotateAsOwner changes keys over a connection of the owner, whose rows they are.
func rotateAsOwner(ctx context.Context, cfg *config, db *database, url string, r pgstore.Rotation) (done pgstore.Rotated, err error) {
	if db.owner != "" {
		url = db.owner
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return done, errors.New("open database: check --database")
	}
	defer pool.Close()
	store, err := pgstore.New(pgstore.Config{Pool: pool, Audit: db.log, Master: cfg.masterKey().find})
	if err != nil {
		return done, err
	}
	done, err = store.Rotate(ctx, r)
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w: run this as the user that ligate runs as", err)
	}
	return done, err
}
