package profile

import (
	"embed"
	"errors"
	"slices"
	_ "time/tzdata" // dates must not depend on what the host has installed
)

//go:embed de.yaml nl.yaml uk.yaml us.yaml
var files embed.FS

// ErrUnknown means that no built-in profile has the name.
var ErrUnknown = errors.New("no such profile: want de, nl, uk or us, or a file of your own")

// maxFile bounds an operator's own file, in octets.
const maxFile = 1 << 20

// Names lists the built-in profiles.
func Names() []string { return []string{"de", "nl", "uk", "us"} }

// Load returns a built-in profile, or ErrUnknown.
func Load(name string) (*Profile, error) {
	if !slices.Contains(Names(), name) {
		return nil, ErrUnknown
	}
	text, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// Parse reads a profile. The error is a *FileError with every fault.
func Parse(text []byte) (*Profile, error) {
	d := &decoder{lines: map[string]int{}, failed: map[string]bool{}}
	if len(text) > maxFile {
		return nil, &FileError{Faults: []Fault{{Line: 1, Text: "want at most 1 MiB"}}}
	}
	p := &Profile{}
	if d.decode(text, p) {
		d.check(p)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return p, nil
}
