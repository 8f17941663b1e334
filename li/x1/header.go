package x1

import (
	"strings"
	"time"
	"unicode"

	"github.com/ligate/ligate/li"
)

const (
	maxIdentifierBytes = 255
	timeLayout         = "2006-01-02T15:04:05.000000Z07:00" // QualifiedMicrosecondDateTime of TS 103 280
)

// validIdentifier holds an admfIdentifier or neIdentifier against xs:token and our
// bound on its length.
func validIdentifier(s string) bool {
	if s == "" || len(s) > maxIdentifierBytes || strings.TrimSpace(s) != s || strings.Contains(s, "  ") {
		return false
	}
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// validVersion is the schema's pattern v1\.\d+\.\d+.
func validVersion(s string) bool {
	rest, ok := strings.CutPrefix(s, "v1.")
	minor, patch, two := strings.Cut(rest, ".")
	return ok && two && len(s) <= 32 && digits(minor) && digits(patch)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// parseTime reads a QualifiedMicrosecondDateTime: exactly six fraction digits and
// a zone. time.Parse alone is laxer than the schema.
func parseTime(s string) (time.Time, bool) {
	if len(s) != len("2006-01-02T15:04:05.000000Z") && len(s) != len("2006-01-02T15:04:05.000000+00:00") || s[19] != '.' || !digits(s[11:13]) {
		return time.Time{}, false
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil || !validTime(t.UTC()) {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// formatTime drops what is finer than a microsecond: an end moves earlier, never later.
func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// validTime reports whether t has the four-digit year that the schema wants.
func validTime(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

func (h Header) valid() bool {
	return validIdentifier(h.ADMF) && validIdentifier(h.NE) && validTime(h.Time.UTC()) && (h.Version == "" || validVersion(h.Version))
}

func (w *writer) header(h Header) {
	w.text("admfIdentifier", h.ADMF)
	w.text("neIdentifier", h.NE)
	w.text("messageTimestamp", formatTime(h.Time))
	if h.Version == "" {
		h.Version = Version
	}
	w.text("version", h.Version)
	w.text("x1TransactionId", h.Transaction.String())
}

// readHeader takes the five elements. The version is held against the schema's
// pattern only by the caller, who has a code of its own for it.
func readHeader(s *seq) (h Header, ok bool) {
	h.ADMF = s.text("admfIdentifier")
	h.NE = s.text("neIdentifier")
	at, okTime := parseTime(s.text("messageTimestamp"))
	h.Time = at
	h.Version = s.text("version")
	id, err := li.ParseXID(s.text("x1TransactionId"))
	h.Transaction = TransactionID(id)
	return h, !s.bad && okTime && err == nil && validIdentifier(h.ADMF) && validIdentifier(h.NE)
}
