package bus

import (
	"context"
	"log/slog"
)

// logger hands the server's lines to slog with their text withheld: it may quote
// subjects and addresses. What matters of the server's health shows in metrics and
// in the errors of Publish and Consume.
type logger struct{ to *slog.Logger }

func (l logger) line(level slog.Level) {
	l.to.Log(context.Background(), level, "bus server message withheld")
}

// Noticef implements server.Logger, as do the other methods.
func (l logger) Noticef(string, ...any) { l.line(slog.LevelDebug) }

// Warnf logs that there was a warning.
func (l logger) Warnf(string, ...any) { l.line(slog.LevelInfo) }

// Errorf logs that there was an error.
func (l logger) Errorf(string, ...any) { l.line(slog.LevelWarn) }

// Fatalf logs that there was an error; the server goes on or Run returns it.
func (l logger) Fatalf(string, ...any) { l.line(slog.LevelWarn) }

// Debugf logs nothing.
func (l logger) Debugf(string, ...any) {}

// Tracef logs nothing: traces hold the messages.
func (l logger) Tracef(string, ...any) {}
