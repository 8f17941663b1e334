package form

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Form is a report.
type Form interface {
	// Name is the name that profiles list.
	Name() string
	// Validate names every mandatory field that is missing, as a *MissingError.
	Validate() error

	page() page
}

// Names lists the forms.
func Names() []string {
	return []string{
		CALEACertificate{}.Name(), Incident{}.Name(), OutageNotice{}.Name(), QuarterlyReview{}.Name(), RecoveryNotice{}.Name(),
	}
}

// MissingError names the fields that a form lacks.
type MissingError struct {
	Form   string
	Fields []string // as in JSON, each with what is wanted where its name does not say it
}

func (e *MissingError) Error() string {
	return e.Form + ": missing or wrong: " + strings.Join(e.Fields, "; ")
}

// Render checks a form and makes its document.
func Render(f Form) (Document, error) {
	if err := f.Validate(); err != nil {
		return Document{}, err
	}
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return Document{}, errors.New("form: cannot be written as JSON")
	}
	p := f.page()
	return Document{Name: f.Name(), Title: p.title, Basis: p.basis, Sections: p.sections, Statement: p.statement, JSON: append(raw, '\n')}, nil
}

// Text checks a form and renders it as plain text.
func Text(f Form) (string, error) {
	d, err := Render(f)
	if err != nil {
		return "", err
	}
	return d.Text()
}

// missing collects the fields that a form lacks.
type missing []string

func (m *missing) want(ok bool, field string) {
	if !ok {
		*m = append(*m, field)
	}
}

func (m *missing) text(s, field string) {
	m.want(strings.TrimSpace(s) != "" && len(s) <= maxText, field)
}

func (m *missing) time(t time.Time, field string) { m.want(!t.IsZero(), field) }

func (m *missing) texts(list []string, field string) {
	ok := len(list) > 0 && len(list) <= maxList
	for _, s := range list {
		ok = ok && strings.TrimSpace(s) != "" && len(s) <= maxText
	}
	m.want(ok, field)
}

func (m *missing) zone(name string) {
	_, err := time.LoadLocation(name)
	m.want(err == nil && name != "" && name != "Local", "zone (IANA, such as Europe/Berlin)")
}

func (m missing) err(f Form) error {
	if len(m) == 0 {
		return nil
	}
	return &MissingError{Form: f.Name(), Fields: m}
}

// Limits of a form.
const (
	maxText = 4000
	maxList = 1000
)
