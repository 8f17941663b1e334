package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Times of a claim. Who holds one asks at least every ClaimEvery and lets go when the
// answer does not come within claimAnswer; the server gives it free at claimIdle, so
// that a process that hangs, and a machine that is gone, lose it too.
const (
	ClaimEvery  = time.Second
	claimAnswer = 3 * time.Second
	claimIdle   = 6 * time.Second
)

// ErrLost says that a claim's connection is gone, and the claim with it.
var ErrLost = errors.New("pgstore: the connection that held a claim is lost")

// Claims are numbered parts of some work that this process holds, as locks of a
// database session of its own. They end with the session: a process that dies holds
// nothing. Not safe for concurrent use.
type Claims struct {
	conn *pgx.Conn
	work string
	self int32 // the session's number
}

// Standing is who takes part in some work, and who holds which part. Sessions are
// named by numbers that are unique while they last.
type Standing struct {
	Self    int32
	Members []int32       // ascending; with Self
	Holder  map[int]int32 // by part; a part that is not there is free
}

// member is the lock that all who take part hold together; parts follow it.
const member = 0

// Claim takes part in some work. Close ends it.
func (s *Store) Claim(ctx context.Context, work string) (*Claims, error) {
	attempt, cancel := context.WithTimeout(ctx, claimAnswer)
	defer cancel()
	conn, err := s.session(attempt)
	if err != nil {
		return nil, err
	}
	c := &Claims{conn: conn, work: "ligate " + work, self: int32(conn.PgConn().PID())} //nolint:gosec // as the server counts
	if _, err = c.conn.Exec(attempt, "select pg_advisory_lock_shared(hashtext($1), $2)", c.work, member); err != nil {
		c.Close()
		return nil, fmt.Errorf("claim: %w", interpret(err))
	}
	return c, nil
}

// session opens a connection of its own that the server ends when it is silent.
func (s *Store) session(ctx context.Context) (*pgx.Conn, error) {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	conn := pooled.Hijack()
	if _, err = conn.Exec(ctx, fmt.Sprintf("set idle_session_timeout = %d", claimIdle.Milliseconds())); err != nil { // Postgres 14
		closeSession(conn)
		return nil, fmt.Errorf("claim: %w", interpret(err))
	}
	return conn, nil
}

func closeSession(conn *pgx.Conn) {
	end, cancel := context.WithTimeout(context.Background(), claimAnswer)
	defer cancel()
	_ = conn.Close(end)
}

// Close gives free what is held.
func (c *Claims) Close() { closeSession(c.conn) }

// Look asks who holds what, which also keeps the claims. After an error they are lost.
func (c *Claims) Look(ctx context.Context) (Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, claimAnswer)
	defer cancel()
	st := Standing{Self: c.self, Holder: map[int]int32{}}
	rows, err := c.conn.Query(ctx, `select objid::int, pid from pg_locks where locktype = 'advisory' and granted and objsubid = 2
		and classid = hashtext($1)::oid and database = (select oid from pg_database where datname = current_database()) order by pid`, c.work)
	if err != nil {
		return Standing{}, ErrLost
	}
	var part, pid int32
	_, err = pgx.ForEachRow(rows, []any{&part, &pid}, func() error {
		if part == member {
			st.Members = append(st.Members, pid)
		} else {
			st.Holder[int(part)-1] = pid
		}
		return nil
	})
	if err != nil {
		return Standing{}, ErrLost
	}
	return st, nil
}

// Claimed asks, over another connection, whether c holds a part now. ErrLost says no.
func (s *Store) Claimed(ctx context.Context, c *Claims, part int) error {
	ctx, cancel := context.WithTimeout(ctx, claimAnswer)
	defer cancel()
	var held bool
	err := s.pool.QueryRow(ctx, `select exists (select from pg_locks where locktype = 'advisory' and granted and objsubid = 2
		and classid = hashtext($1)::oid and objid = $2::int::oid and pid = $3
		and database = (select oid from pg_database where datname = current_database()))`, c.work, part+1, c.self).Scan(&held)
	if err != nil {
		return fmt.Errorf("claimed: %w", interpret(err))
	}
	if !held {
		return ErrLost
	}
	return nil
}

// Take holds a part, from 0, if it is free.
func (c *Claims) Take(ctx context.Context, part int) (bool, error) {
	return c.lock(ctx, "select pg_try_advisory_lock(hashtext($1), $2)", part)
}

// Leave gives a part free that is held.
func (c *Claims) Leave(ctx context.Context, part int) error {
	_, err := c.lock(ctx, "select pg_advisory_unlock(hashtext($1), $2)", part)
	return err
}

func (c *Claims) lock(ctx context.Context, sql string, part int) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, claimAnswer)
	defer cancel()
	if err := c.conn.QueryRow(ctx, sql, c.work, part+1).Scan(&done); err != nil {
		return false, ErrLost
	}
	return done, nil
}
