package deliver

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/mediation/evidence/segment"
	"github.com/ligate/ligate/warrant"
)

const (
	dropTick   = time.Second
	dropLinger = 2 * time.Second // after the end of a call, for content that is on its way
	dropHeld   = 64 << 20        // octets of packets that are in memory at most
	dropOld    = 24 * time.Hour  // a session of which no end came is forgotten
	dropSweep  = time.Hour
)

// dropSpool is bus.Spool, or one of a test.
type dropSpool interface {
	Consume(ctx context.Context, handle func(bus.SpoolMessage)) error
}

// dropWriter makes the capture files of one agency. One goroutine runs it.
type dropWriter struct {
	Drop

	agency    warrant.AgencyID
	name      string
	spool     dropSpool
	now       func() time.Time
	trouble   func(ctx context.Context, step string, err error)
	alarms    alarms
	files     prometheus.Counter
	malformed prometheus.Counter

	marks    map[string]dropMark
	sessions map[string]*dropSession
	octets   int       // collected, of all sessions
	failing  time.Time // since when writing fails; zero = it does not
	tried    time.Time
	alarmed  bool
	swept    time.Time
}

// dropMessage is a message of the spool; it is acknowledged once nothing of it is left.
type dropMessage struct {
	ack  func() error
	left int
}

func (m *dropMessage) settle() {
	if m.left--; m.left == 0 {
		_ = m.ack() // else it comes again and is known
	}
}

// run collects and writes until ctx ends. What is not in a file then comes again.
func (w *dropWriter) run(ctx context.Context) error {
	if err := w.prepare(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	messages, ended := make(chan bus.SpoolMessage), make(chan error, 1)
	go func() {
		ended <- w.spool.Consume(ctx, func(m bus.SpoolMessage) {
			select {
			case messages <- m:
			case <-ctx.Done():
			}
		})
	}()
	defer func() { cancel(); <-ended }()
	ticker := time.NewTicker(min(dropTick, w.Every/4))
	defer ticker.Stop()
	for {
		in := messages
		if w.octets >= dropHeld {
			in = nil // the spool holds the rest
		}
		select {
		case <-ctx.Done():
			return nil
		case m := <-in:
			if w.take(m) {
				w.write(ctx, w.full)
			}
		case <-ticker.C:
			w.write(ctx, w.due)
			w.forget()
			w.sweep(ctx)
		}
	}
}

func (w *dropWriter) folder() string { return filepath.Join(w.Dir, string(w.agency)) }

func (w *dropWriter) marksFile() string {
	return filepath.Join(w.Dir, dropWork, string(w.agency)+".json")
}

// prepare makes the folders and learns what was written.
func (w *dropWriter) prepare() (err error) {
	err = errors.Join(os.MkdirAll(w.folder(), 0o750), os.MkdirAll(filepath.Join(w.Dir, dropWork), 0o700), syncDir(w.Dir)) //nolint:gosec // the group serves the agency
	if err != nil {
		return err
	}
	if w.marks, err = loadMarks(w.marksFile()); err != nil {
		return err
	}
	w.sessions, w.octets = map[string]*dropSession{}, 0
	for id, mark := range w.marks {
		w.sessions[id] = sessionOf(mark, w.now())
	}
	return nil
}

// take collects what a message holds. It reports whether a file is full.
func (w *dropWriter) take(m bus.SpoolMessage) (full bool) {
	msg := &dropMessage{ack: m.Ack, left: 1}
	defer msg.settle()
	for rest := m.Data; len(rest) > 0; {
		r, after, err := nextRun(rest)
		if err != nil {
			w.malformed.Inc() // the bus key is right, so it is our own doing
			return full
		}
		rest = after
		head, records, err := segment.Decode(r.pdus)
		if err != nil || len(records) == 0 && r.session != endOfSession {
			w.malformed.Inc()
			continue
		}
		id := mac(w.Key, "session", head.LIID, head.CIN)
		s := w.sessions[id]
		if s == nil {
			s = sessionOf(dropMark{}, w.now())
			w.sessions[id] = s
		}
		s.liid, s.cin, s.heard = head.LIID, head.CIN, w.now()
		waits := false
		if r.session == endOfSession {
			waits = s.end([2]uint32{r.first, r.count}, w.now())
		} else {
			waits = s.add(head.Kind, records, w.now())
		}
		if waits {
			msg.left++
			s.messages = append(s.messages, msg)
		}
		w.octets += s.grown()
		full = full || w.full(s)
	}
	return full
}

// full reports whether a session's file must not grow.
func (w *dropWriter) full(s *dropSession) bool {
	return s.octets > 0 && (s.octets >= w.Bytes || len(s.gaps) >= manyGaps || s.last.Sub(s.first) >= w.Every || w.octets >= dropHeld)
}

// due reports whether it is time for a session's file.
func (w *dropWriter) due(s *dropSession) bool {
	if s.empty() {
		return false
	}
	now := w.now()
	return w.full(s) || s.octets > 0 && now.Sub(s.since) >= w.Every || !s.ended.IsZero() && now.Sub(s.ended) >= min(dropLinger, w.Every)
}

// write makes the files of the sessions that are picked: their ends are noted, the
// files written, and that is noted. Only then the spool may forget.
func (w *dropWriter) write(ctx context.Context, pick func(*dropSession) bool) {
	picked := map[string]*dropSession{}
	for id, s := range w.sessions {
		if pick(s) && (!s.mark.Writing || s.reached() || w.now().Sub(s.since) >= 2*w.Every) {
			picked[id] = s
		}
	}
	if len(picked) == 0 || !w.failing.IsZero() && w.now().Sub(w.tried) < dropTick {
		return
	}
	w.tried = w.now()
	err := w.writeAll(ctx, picked)
	if err == nil {
		w.recovered(ctx)
		return
	}
	w.trouble(ctx, "capture_file", err)
	if w.failing.IsZero() {
		w.failing = w.now()
	}
	if !w.alarmed && w.now().Sub(w.failing) >= publishAlarm {
		w.alarmed = openAlarm(ctx, w.alarms, alarmStuck, w.name)
	}
}

func (w *dropWriter) recovered(ctx context.Context) {
	w.failing = time.Time{}
	if w.alarmed {
		w.alarmed = !closeAlarm(ctx, w.alarms, alarmStuck, w.name)
	}
}

func (w *dropWriter) writeAll(ctx context.Context, picked map[string]*dropSession) error {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	texts, err := w.Recipients(attempt, w.agency)
	if err != nil {
		return err
	}
	to, err := segment.ParseRecipients(texts)
	if err != nil {
		return err
	}
	seal := func(plaintext []byte) ([]byte, error) { return segment.Seal(to, plaintext) }
	for id, s := range picked {
		s.begin()
		w.marks[id] = s.mark
	}
	if err := saveMarks(w.marksFile(), w.marks); err != nil {
		return err
	}
	var failed error
	marks, done := maps.Clone(w.marks), []*dropSession{}
	for id, s := range picked {
		if err := s.file(w.Drop, w.folder(), seal); err != nil {
			failed = errors.Join(failed, err) // it is tried again; the others go on
			continue
		}
		w.files.Inc()
		marks[id] = dropMark{FromIRI: s.mark.ToIRI, FromCC: s.mark.ToCC}
		done = append(done, s)
	}
	if err := saveMarks(w.marksFile(), marks); err != nil {
		return errors.Join(failed, err)
	}
	w.marks = marks
	for _, s := range done {
		for _, m := range s.written() {
			m.settle()
		}
		w.octets += s.grown()
	}
	return failed
}

// forget drops sessions of which nothing comes any more.
func (w *dropWriter) forget() {
	for id, s := range w.sessions {
		idle := w.now().Sub(s.heard)
		if s.empty() && len(s.messages) == 0 && !s.mark.Writing && (idle > dropOld || s.over && idle > oldMark) {
			delete(w.sessions, id)
			delete(w.marks, id)
		}
	}
}

// sweep removes files that are older than is wanted.
func (w *dropWriter) sweep(ctx context.Context) {
	if w.Keep <= 0 || w.now().Sub(w.swept) < min(dropSweep, w.Keep) {
		return
	}
	w.swept = w.now()
	entries, err := os.ReadDir(w.folder())
	if err != nil {
		w.trouble(ctx, "sweep_files", err)
		return
	}
	for _, e := range slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasSuffix(e.Name(), dropName) }) {
		if info, err := e.Info(); err == nil && w.now().Sub(info.ModTime()) > w.Keep {
			if err := os.Remove(filepath.Join(w.folder(), e.Name())); err != nil {
				w.trouble(ctx, "sweep_files", err)
			}
		}
	}
}
