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

// checkProfile names every fault of a profile's own file, with its line there. A
// profile that allows no storing needs the operator's word: the sealed copy stays
// until two people purge it.
func (c checker) checkProfile(admin adminConfig) {
	const key = "admin.profile"
	if admin.Profile == "" {
		return
	}
	p, err := profile.Open(admin.Profile)
	if err == nil {
		c.want(p.Delivery.Mode == profile.Store || admin.KeepsCopy, "admin.keeps_sealed_copy",
			"want true, once your regulator agreed: the profile says buffer-only, and the sealed copy of what was pushed stays until two people purge it")
		return
	}
	var faults *profile.FileError
	if !errors.As(err, &faults) {
		c.want(false, key, "want de, nl, uk or us, or a profile's file that can be read")
		return
	}
	for _, f := range faults.Faults {
		c.want(false, key, fmt.Sprintf("line %d of the profile's file: %s", f.Line, f.Text))
	}
}
