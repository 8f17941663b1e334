package pgstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ligate/ligate/internal/crowd"
	"github.com/ligate/ligate/internal/pgtest"
	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/pgstore"
)

// Random people do random things to a few warrants, through the rules and a real
// Postgres as the application's role.
func TestRandomPeople(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	now := time.Now().UTC().Truncate(time.Second)
	people := []warrant.Actor{o.ann, o.bob, o.carl, o.aud, o.root1}
	for i, role := range []warrant.Role{warrant.Drafter, warrant.Approver} {
		p, err := o.AddPerson(t.Context(), o.root1, warrant.Person{Name: fmt.Sprint("more ", i), Role: role, Cert: cert(fmt.Sprint(7 + i))})
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, warrant.Actor{Person: p}) // as they were before they were confirmed
		if err := o.ConfirmPerson(t.Context(), o.root2, p.ID); err != nil {
			t.Fatal(err)
		}
		p.Confirmed = true
		people = append(people, warrant.Actor{Person: p})
	}
	p, err := o.Protect(t.Context(), o.ann, target(t, "+4930555009"), "lawyer")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ConfirmProtected(t.Context(), o.bob, p.ID); err != nil {
		t.Fatal(err)
	}
	app := pgtest.AsApp(t, o.pool)
	o.with(t, func(cfg *pgstore.Config) { cfg.Pool, cfg.Now = app, func() time.Time { return now } })
	c := &crowd.Crowd{
		Acts: o.Store, Store: o.Store, Pool: o.pool, Log: o.log, People: people, Agency: o.agency.ID,
		Now: func() time.Time { return now }, Wait: func(d time.Duration) { now = now.Add(d) },
	}
	c.Run(t)
}
