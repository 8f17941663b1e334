package form

import (
	"fmt"
	"strings"
	"text/template"
	"time"
	_ "time/tzdata" // local times must not depend on what the host has installed
	"unicode/utf8"
)

// Document is a rendered form: what a page or a PDF shows, in order.
type Document struct {
	Name      string
	Title     string
	Basis     string // the norm it follows
	Sections  []Section
	Statement string // what the signature says; empty = unsigned
	JSON      []byte // the form itself; what is signed
}

// Section is a heading and its rows.
type Section struct {
	Heading string
	Rows    []Row
}

// Row is a label and its value; lists have one line each.
type Row struct {
	Label string
	Lines []string
}

// page is what a form shows.
type page struct {
	title, basis, statement string
	sections                []Section
}

const textLayout = `{{.Title}}
{{rule .Title "="}}
{{.Basis}}
{{range .Sections}}
{{.Heading}}
{{rule .Heading "-"}}
{{range .Rows}}{{row .}}{{end}}{{end}}{{if .Statement}}
{{.Statement}}

Name: ______________________________

Signature: _________________________   Date: ____________
{{end}}`

// Text is the document as plain text, UTF-8.
func (d Document) Text() (string, error) {
	t, err := template.New("form").Funcs(template.FuncMap{"rule": rule, "row": textRow}).Parse(textLayout)
	if err != nil {
		return "", fmt.Errorf("form layout: %w", err)
	}
	var b strings.Builder
	if err := t.Execute(&b, d); err != nil {
		return "", fmt.Errorf("render form: %w", err)
	}
	return b.String(), nil
}

func rule(s, with string) string { return strings.Repeat(with, utf8.RuneCountInString(s)) }

const labelWidth = 26

// textRow writes the label once and the lines beneath each other. A line break
// inside a value is indented too, so that no value can look like another row.
func textRow(r Row) string {
	var b strings.Builder
	label := r.Label
	for _, value := range r.Lines {
		for line := range strings.Lines(value) {
			fmt.Fprintf(&b, "%-*s %s\n", labelWidth, label, printable(line))
			label = ""
		}
	}
	return b.String()
}

// printable drops control characters, which could hide or forge lines.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, s)
}

func row(label string, lines ...string) Row { return Row{Label: label, Lines: lines} }

// moment shows a time in the zone and as UTC, to the second.
func moment(t time.Time, zone string) string {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC // Validate has refused such a zone
	}
	return t.In(loc).Format("2006-01-02 15:04:05 -07:00") + " " + zone + " (" + t.UTC().Format("2006-01-02T15:04:05Z") + ")"
}
