package tasking

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// maxDestinations bounds what an ADMF may leave here.
const maxDestinations = 1024

// activate begins or changes a Task. A Task without an end of its own gets one.
func (s *Server) activate(order x1.ActivateTask, change bool) x1.Answer {
	var body x1.Body = order
	sink, failed := s.tasks.Activate, x1.CodeActivateFailed
	if change {
		body, sink, failed = x1.ModifyTask(order), s.tasks.Replace, x1.CodeModifyFailed
	}
	if !s.known(order.DIDs) {
		return &x1.Error{Of: body.Kind(), Code: x1.CodeDIDUnknown}
	}
	if order.Bare {
		order.Task = s.bounded(order.Task)
	}
	err := sink(order.Task)
	if err == nil {
		s.remember(order)
	}
	return done(body, err, failed)
}

// bounded gives a Task the longest time that we are told to grant.
func (s *Server) bounded(task li.Task) li.Task {
	iri := task.Signalling()
	iri.Until = s.cfg.Now().Add(s.cfg.Longest)
	if _, media := task.(li.ContentTask); media {
		return li.ContentTask{IRITask: iri}
	}
	return iri
}

func (s *Server) remember(order x1.ActivateTask) {
	s.mu.Lock()
	defer s.mu.Unlock()
	xid := order.Task.Signalling().XID
	delete(s.orders, xid)
	if order.Bare || len(order.DIDs) > 0 {
		s.orders[xid] = order
	}
}

func (s *Server) order(xid li.XID) x1.ActivateTask {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orders[xid]
}

// deactivate ends a Task, and whatever taps under its XID though no table has it.
func (s *Server) deactivate(xid li.XID) error {
	err := s.tasks.Deactivate(xid)
	for _, tap := range s.seen() {
		if tap.XID() == xid {
			s.tasks.Expel(tap)
			if errors.Is(err, ErrUnknown) {
				err = nil
			}
		}
	}
	s.mu.Lock()
	delete(s.orders, xid)
	s.mu.Unlock()
	return err
}

// clear ends all that taps.
func (s *Server) clear() {
	s.tasks.Clear()
	for _, tap := range s.seen() {
		s.tasks.Expel(tap)
	}
	s.mu.Lock()
	clear(s.orders)
	s.mu.Unlock()
}

// seen lists the live taps that are at work: what the call path looks up, and what is
// copied.
func (s *Server) seen() []*Tap {
	taps := s.tasks.Shown()
	if s.cfg.Copying == nil {
		return taps
	}
	shown := make(map[*Tap]bool, len(taps))
	for _, tap := range taps {
		shown[tap] = true
	}
	for _, tap := range s.cfg.Copying() {
		if tap.Live() && !shown[tap] {
			taps = append(taps, tap)
		}
	}
	return taps
}

// all lists what taps here: the table's Tasks, and beside them what is at work without
// standing there.
func (s *Server) all() []x1.TaskDetails {
	listed := s.tasks.Taps()
	in := make(map[*Tap]bool, len(listed))
	out := make([]x1.TaskDetails, 0, len(listed))
	for _, tap := range listed {
		in[tap] = true
		out = append(out, s.details(tap, false))
	}
	for _, tap := range s.seen() {
		// One that came to the table since is listed the next time.
		if !in[tap] && s.tasks.Tap(tap.XID()) != tap {
			out = append(out, s.details(tap, true))
		}
	}
	s.forget()
	return out
}

// forget drops what was said beside Tasks that have ended by themselves.
func (s *Server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for xid := range s.orders {
		if s.tasks.Tap(xid) == nil {
			delete(s.orders, xid)
		}
	}
}

func (s *Server) details(tap *Tap, unlisted bool) x1.TaskDetails {
	order := s.order(tap.XID())
	d := x1.TaskDetails{Task: tap.Task(), DIDs: order.DIDs, Bare: order.Bare, Status: x1.TaskStatus{
		X2: tap.x2.Load(), X3: tap.x3.Load(), Begun: tap.begun.UTC(), Unlisted: unlisted,
	}}
	if last := tap.last.Load(); last != 0 {
		d.Status.LastIntercept = time.UnixMicro(last).UTC()
	}
	return d
}

func (s *Server) identifiers() x1.AllIdentifiers {
	var out x1.AllIdentifiers
	for _, task := range s.all() {
		out.XIDs = append(out.XIDs, task.Task.Signalling().XID)
	}
	for _, d := range s.destinations() {
		out.DIDs = append(out.DIDs, d.DID)
	}
	return out
}

// known reports whether all destinations of a Task exist.
func (s *Server) known(ids []x1.DID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if _, ok := s.where[id]; !ok {
			return false
		}
	}
	return true
}

// destinations lists them in the order of their DIDs.
func (s *Server) destinations() []x1.DestinationDetails {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []x1.DestinationDetails
	for _, id := range slices.SortedFunc(maps.Keys(s.where), func(a, b x1.DID) int { return bytes.Compare(a[:], b[:]) }) {
		out = append(out, x1.DestinationDetails{Destination: s.where[id]})
	}
	return out
}

// changeDestination keeps what an ADMF says of destinations. We deliver where our
// configuration says: a destination elsewhere is refused, never accepted in name.
func (s *Server) changeDestination(body x1.Body) x1.Answer {
	used := s.inUse()
	s.mu.Lock()
	defer s.mu.Unlock()
	code := 0
	switch b := body.(type) {
	case x1.CreateDestination:
		_, exists := s.where[b.Destination.DID]
		switch {
		case exists:
			code = x1.CodeDIDExists
		case len(s.where) >= maxDestinations || !slices.Contains(s.cfg.Destinations, b.Destination.Addr):
			code = x1.CodeDestinationFailed
		default:
			s.where[b.Destination.DID] = b.Destination
		}
	case x1.ModifyDestination:
		_, exists := s.where[b.Destination.DID]
		switch {
		case !exists:
			code = x1.CodeDIDUnknown
		case !slices.Contains(s.cfg.Destinations, b.Destination.Addr):
			code = x1.CodeDestinationFailed
		default:
			s.where[b.Destination.DID] = b.Destination
		}
	case x1.RemoveDestination:
		_, exists := s.where[b.DID]
		switch {
		case !exists:
			code = x1.CodeDIDUnknown
		case used[b.DID]:
			code = x1.CodeDIDInUse
		default:
			delete(s.where, b.DID)
		}
	default: // RemoveAllDestinations is off by default in the standard, and here for good
		code = x1.CodeRemoveAllDisabled
	}
	if code != 0 {
		return &x1.Error{Of: body.Kind(), Code: code}
	}
	return x1.OK{Of: body.Kind()}
}

// inUse are the destinations of the Tasks that live.
func (s *Server) inUse() map[x1.DID]bool {
	used := map[x1.DID]bool{}
	for _, tap := range s.tasks.Taps() {
		for _, id := range s.order(tap.XID()).DIDs {
			used[id] = true
		}
	}
	return used
}
