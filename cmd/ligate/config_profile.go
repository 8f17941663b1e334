package main

import (
	"errors"
	"fmt"

	"github.com/ligate/ligate/warrant/profile"
)

// profile opens the jurisdiction's profile; nil where none is configured.
func (a adminConfig) profile() (*profile.Profile, error) {
	if a.Profile == "" {
		return nil, nil // nil is how the rest says that there is none
	}
	return profile.Open(a.Profile)
}

// checkProfile names every fault of a profile's own file, with its line there.
func (c checker) checkProfile(name string) {
	const key = "admin.profile"
	if name == "" {
		return
	}
	_, err := profile.Open(name)
	var faults *profile.FileError
	if !errors.As(err, &faults) {
		c.want(err == nil, key, "want de, nl, uk or us, or a profile's file that can be read")
		return
	}
	for _, f := range faults.Faults {
		c.want(false, key, fmt.Sprintf("line %d of the profile's file: %s", f.Line, f.Text))
	}
}
