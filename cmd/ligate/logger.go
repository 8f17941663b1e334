package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/ligate/ligate/internal/logging"
)

// logger makes the root logger on the configured file or on std.
func (c *config) logger(std io.Writer) (*slog.Logger, func(), error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return nil, nil, fmt.Errorf("log level: %w", err)
	}
	if c.Log.File == "" {
		return logging.New(std, level), func() {}, nil
	}
	f, err := os.OpenFile(c.Log.File, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open log file: %w", err)
	}
	return logging.New(f, level), func() { _ = f.Close() }, nil
}
