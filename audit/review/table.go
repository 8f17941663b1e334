package review

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Table is a report. Every row has a text for each column.
type Table struct {
	Columns []string
	Rows    [][]string
}

func (t *Table) add(cells ...string) { t.Rows = append(t.Rows, cells) }

// CSV writes the table with a heading (RFC 4180). A cell that a spreadsheet would take
// for a formula gets an apostrophe in front.
func (t *Table) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(t.Columns); err != nil {
		return fmt.Errorf("review: write CSV: %w", err)
	}
	for _, row := range t.Rows {
		safe := make([]string, len(row))
		for i, cell := range row {
			safe[i] = plain(cell)
		}
		if err := out.Write(safe); err != nil {
			return fmt.Errorf("review: write CSV: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("review: write CSV: %w", err)
	}
	return nil
}

func plain(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// JSONLines writes an object a row.
func (t *Table) JSONLines(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, row := range t.Rows {
		object := make(map[string]string, len(row))
		for i, cell := range row {
			object[t.Columns[i]] = cell
		}
		if err := enc.Encode(object); err != nil {
			return fmt.Errorf("review: write JSON lines: %w", err)
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func stampOr(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}
