package bench

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"text/tabwriter"
)

// Report is what one part of a measurement found; as JSON it is one object.
type Report struct {
	Part    string   `json:"part"`
	CPUs    int      `json:"cpus"` // that this process may use
	Arch    string   `json:"arch"`
	Go      string   `json:"go"`
	Figures []Figure `json:"figures"`
}

// Figure is one named number.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"` // "1" for a ratio
}

// NewReport begins the report of a part.
func NewReport(part string) *Report {
	return &Report{Part: part, CPUs: runtime.GOMAXPROCS(0), Arch: runtime.GOARCH, Go: runtime.Version()}
}

// Add appends a figure.
func (r *Report) Add(name string, value float64, unit string) {
	r.Figures = append(r.Figures, Figure{Name: name, Value: value, Unit: unit})
}

// Value returns a figure's value; false if there is none of that name.
func (r *Report) Value(name string) (float64, bool) {
	i := slices.IndexFunc(r.Figures, func(f Figure) bool { return f.Name == name })
	if i < 0 {
		return 0, false
	}
	return r.Figures[i].Value, true
}

// Print writes the figures as a table.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range r.Figures {
		unit := f.Unit
		if unit == "1" {
			unit = "×"
		}
		fmt.Fprintf(t, "%s\t%s\t%*s\t%s\n", r.Part, f.Name, valueWidth, number(f.Value), unit)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

const valueWidth = 10 // right-aligned

// number shows small values with digits enough to compare them.
func number(v float64) string {
	switch {
	case v == math.Trunc(v) || v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Median returns the middle value, the lower one of two; 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
