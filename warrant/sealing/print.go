package sealing

import (
	"fmt"
	"io"
	"log/slog"
)

const printed = "[key]"

// Format prints no secret, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, printed) }

// LogValue logs no secret.
func (k Key) LogValue() slog.Value { return slog.StringValue(printed) }

// Format prints no secret, whatever the verb.
func (m Master) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, printed) }

// LogValue logs no secret.
func (m Master) LogValue() slog.Value { return slog.StringValue(printed) }
