package admf

import (
	"context"
	"slices"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant"
)

// prover holds the store's answer against the audit log: a warrant that somebody wrote
// into the tables past the rules has no second person's word there. It belongs to the
// planning goroutine.
type prover struct {
	store  store
	every  time.Duration
	proven map[li.XID]bool // of the last plan
	wrong  map[li.XID]bool // of the last plan; on record and alarmed
	all    time.Time       // when all were looked at last, by the monotonic clock
}

func newProver(cfg Config) prover {
	return prover{store: cfg.Store, every: cfg.ProveEvery, proven: map[li.XID]bool{}, wrong: map[li.XID]bool{}}
}

// split divides the tasks into those that are borne out and the others, which are on
// record before it returns. It asks for those that are new, and for all now and then or
// when it is told to. With an error it gives those that were borne out before: what was
// revoked must end though nothing new can be proven.
func (p *prover) split(ctx context.Context, tasks []li.Task, again bool) (good []li.Task, wrong map[li.XID]bool, err error) {
	again = again || time.Since(p.all) >= p.every
	var ask []li.XID
	for _, task := range tasks {
		if xid := task.Signalling().XID; again || !p.proven[xid] && !p.wrong[xid] {
			ask = append(ask, xid)
		}
	}
	unproven := map[li.XID]bool{}
	if len(ask) > 0 {
		xids, err := p.store.Unproven(ctx, ask)
		if err != nil {
			return p.known(tasks), p.wrong, err
		}
		for _, xid := range xids {
			unproven[xid] = true
		}
	}
	asked := make(map[li.XID]bool, len(ask))
	for _, xid := range ask {
		asked[xid] = true
	}
	proven, found := make(map[li.XID]bool, len(tasks)), map[li.XID]bool{}
	for _, task := range tasks {
		xid := task.Signalling().XID
		if unproven[xid] || !asked[xid] && p.wrong[xid] {
			found[xid] = true
			if err := p.record(ctx, task); err != nil {
				return slices.DeleteFunc(p.known(tasks), func(t li.Task) bool { return unproven[t.Signalling().XID] }), p.wrong, err
			}
			continue
		}
		proven[xid] = true
		good = append(good, task)
	}
	if again {
		p.all = time.Now()
	}
	p.proven, p.wrong = proven, found
	return good, found, nil
}

// known are the tasks of the last plan that were borne out.
func (p *prover) known(tasks []li.Task) []li.Task {
	var known []li.Task
	for _, task := range tasks {
		if p.proven[task.Signalling().XID] {
			known = append(known, task)
		}
	}
	return known
}

// record freezes and alarms what is not borne out, once.
func (p *prover) record(ctx context.Context, task li.Task) error {
	xid := task.Signalling().XID
	if p.wrong[xid] {
		return nil
	}
	_, media := task.(li.ContentTask)
	o := warrant.Orphan{XID: xid, Kind: warrant.OrphanUnproven, Media: media, Until: task.Signalling().Until, FoundAt: time.Now()}
	if err := p.store.FreezeTap(ctx, o); err != nil {
		return err
	}
	return p.store.OpenAlarm(ctx, AlarmUnproven, xid.String())
}
