package pgstore

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ligate/ligate/audit"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// FreezeTap keeps a tap that has no order as it was found, with its audit entry. One
// that is frozen and not removed yet stays as it was found first.
func (s *Store) FreezeTap(ctx context.Context, o warrant.Orphan) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `insert into tap_orphan (gateway, xid, kind, media, targets, destinations, until_at, since_at, last_at, x2_octets, x3_octets, found_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (gateway, xid) where removed_at is null do nothing`,
			o.Gateway, o.XID.String(), string(o.Kind), o.Media, list(o.Targets), list(o.Destinations), timeOrNull(o.Until), timeOrNull(o.Since), timeOrNull(o.LastIntercept),
			o.X2, o.X3, o.FoundAt)
		if err != nil {
			return fmt.Errorf("freeze tap: %w", interpret(err))
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		e := system("tap.frozen", "", o.Gateway+" "+o.XID.String())
		e.Detail = map[string]string{
			"kind": string(o.Kind), "media": strconv.FormatBool(o.Media), "x2_octets": strconv.FormatInt(o.X2, 10), "x3_octets": strconv.FormatInt(o.X3, 10),
		}
		_, err = s.audit.Append(ctx, tx, e)
		return err
	})
}

// list is never null: an empty list is one too.
func list(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}

// TapRemoved records that a frozen tap is gone; one that is not frozen is no error.
func (s *Store) TapRemoved(ctx context.Context, gateway string, xid li.XID, at time.Time) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "update tap_orphan set removed_at = greatest($3, found_at) where gateway = $1 and xid = $2 and removed_at is null", gateway, xid.String(), at)
		if err != nil {
			return fmt.Errorf("tap removed: %w", interpret(err))
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		_, err = s.audit.Append(ctx, tx, system("tap.removed", "", gateway+" "+xid.String()))
		return err
	})
}

// Orphans lists what was frozen, newest first, at most 200.
func (s *Store) Orphans(ctx context.Context) ([]warrant.Orphan, error) {
	rows, err := s.pool.Query(ctx, `select gateway, xid::text, kind, media, targets, destinations, until_at, since_at, last_at, x2_octets, x3_octets, found_at, removed_at
		from tap_orphan order by id desc limit 200`)
	if err != nil {
		return nil, fmt.Errorf("list orphans: %w", interpret(err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (warrant.Orphan, error) {
		var o warrant.Orphan
		var xid string
		var until, since, last, removed *time.Time
		err := row.Scan(&o.Gateway, &xid, &o.Kind, &o.Media, &o.Targets, &o.Destinations, &until, &since, &last, &o.X2, &o.X3, &o.FoundAt, &removed)
		if err != nil {
			return o, err
		}
		o.FoundAt = o.FoundAt.UTC()
		for to, from := range map[*time.Time]*time.Time{&o.Until: until, &o.Since: since, &o.LastIntercept: last, &o.RemovedAt: removed} {
			if from != nil {
				*to = from.UTC()
			}
		}
		o.XID, err = li.ParseXID(xid)
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("list orphans: %w", interpret(err))
	}
	return all, nil
}

// Unproven returns those of the Tasks whose warrant the audit log does not bear out: no
// second person's word is on it, or its last step there is not the one that stands in
// the table. Whoever writes a warrant into the tables past the rules makes such a one.
func (s *Store) Unproven(ctx context.Context, xids []li.XID) ([]li.XID, error) {
	texts := make([]string, len(xids))
	for i, xid := range xids {
		texts[i] = xid.String()
	}
	rows, err := s.pool.Query(ctx, `select t.xid::text, w.liid, w.version, w.state, w.drafter, coalesce(w.approver, ''), coalesce(w.second_approver, ''), w.protected
		from unnest($1::uuid[]) as want (xid) join task t on t.xid = want.xid join warrant w on w.id = t.warrant_id`, texts)
	if err != nil {
		return nil, fmt.Errorf("prove tasks: %w", interpret(err))
	}
	claims, err := pgx.CollectRows(rows, pgx.RowToStructByPos[claimed])
	if err != nil {
		return nil, fmt.Errorf("prove tasks: %w", interpret(err))
	}
	liids := make([]string, len(claims))
	for i, c := range claims {
		liids[i] = c.LIID
	}
	acts, err := s.audit.Acts(ctx, s.pool, liids)
	if err != nil {
		return nil, fmt.Errorf("prove tasks: %w", err)
	}
	proven := make(map[string]bool, len(claims))
	for _, c := range claims {
		proven[c.XID] = c.provenBy(acts[c.LIID])
	}
	return slices.DeleteFunc(slices.Clone(xids), func(xid li.XID) bool { return proven[xid.String()] }), nil
}

// claimed is what the tables say of an active warrant.
type claimed struct {
	XID, LIID                string
	Version                  int
	State, Drafter, Approver string
	Second                   string
	Protected                bool
}

// provenBy holds the claim against what is on the audit log.
func (c claimed) provenBy(acts []audit.Entry) bool {
	words, approved, last := map[string]bool{}, false, audit.Entry{}
	for _, e := range acts {
		if e.Result != "done" || e.Detail["to"] == "" {
			continue
		}
		if e.Action == "warrant.approve" {
			words[e.Actor] = true
			approved = approved || e.Detail["to"] == warrant.Approved.String()
		}
		last = e
	}
	people := []string{c.Drafter, c.Approver}
	if c.Second != "" || c.Protected {
		people = append(people, c.Second)
	}
	for i, p := range people {
		if i > 0 && (p == "" || !words[p] || slices.Contains(people[:i], p)) {
			return false
		}
	}
	return approved && last.Detail["to"] == c.State && last.Detail["version"] == strconv.Itoa(c.Version)
}
