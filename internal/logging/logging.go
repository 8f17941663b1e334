// Package logging makes the root slog.Handler: JSON lines with only those
// attributes whose key stands on an allow-list, so that an identity, a Call-ID or
// content that slips into a log call does not reach the log.
//
// Invariants:
//   - An attribute whose key is not allowed is dropped and counted in "withheld".
//   - Libraries log through Foreign, which keeps level and name and withholds text
//     and attributes: their messages may quote what they read.
package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
)

// allowed are the keys that may be logged. None of them may tie a call to a LIID
// or XID, nor hold an identity, content or key material.
func allowed() []string {
	return []string{
		"action", "alarm", "attempt", "backlog", "bytes", "calls", "code", "component", "count", "data_dir",
		"duration", "err", "gateway", "index", "items", "library", "limit", "listen", "listeners", "method", "network", "origin",
		"peer", "peers", "pid", "reason", "result", "role", "roles", "route", "rule", "size", "state", "status", "step",
		"stream", "threads", "url_host", "version", "withheld",
	}
}

// New returns a logger that writes JSON lines of at least the level to w.
func New(w io.Writer, level slog.Level) *slog.Logger {
	json := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	return slog.New(handler{next: json, keys: allowed()})
}

type handler struct {
	next slog.Handler
	keys []string // sorted
}

func (h handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	withheld := 0
	r.Attrs(func(a slog.Attr) bool {
		if h.allows(a) {
			out.AddAttrs(a)
		} else {
			withheld++
		}
		return true
	})
	if withheld > 0 {
		out.AddAttrs(slog.Int("withheld", withheld))
	}
	return h.next.Handle(ctx, out)
}

// allows refuses groups too: a group would hide keys one level down.
func (h handler) allows(a slog.Attr) bool {
	_, found := slices.BinarySearch(h.keys, a.Key)
	return found && a.Value.Resolve().Kind() != slog.KindGroup
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	kept := slices.DeleteFunc(slices.Clone(attrs), func(a slog.Attr) bool { return !h.allows(a) })
	return handler{next: h.next.WithAttrs(kept), keys: h.keys}
}

// WithGroup ignores the name: keys stay flat and checkable.
func (h handler) WithGroup(string) slog.Handler { return h }

// Foreign returns a logger for a library: each of its lines becomes one constant
// message with the library's name, at the line's level but never above Warn.
func Foreign(to *slog.Logger, library string) *slog.Logger {
	return slog.New(foreign{next: to.Handler(), library: library})
}

type foreign struct {
	next    slog.Handler
	library string
}

func (f foreign) Enabled(ctx context.Context, l slog.Level) bool { return f.next.Enabled(ctx, l) }

func (f foreign) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, min(r.Level, slog.LevelWarn), "library message withheld", r.PC)
	out.AddAttrs(slog.String("library", f.library))
	return f.next.Handle(ctx, out)
}

func (f foreign) WithAttrs([]slog.Attr) slog.Handler { return f }

func (f foreign) WithGroup(string) slog.Handler { return f }
