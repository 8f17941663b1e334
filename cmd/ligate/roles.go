package main

import (
	"slices"
	"strings"
)

// parseRoles reads "all" or a comma list of roles.
func parseRoles(s string) ([]role, error) {
	all := []role{roleGateway, roleMediation, roleAdmin}
	if s == "all" {
		return all, nil
	}
	var roles []role
	for name := range strings.SplitSeq(s, ",") {
		r := role(strings.TrimSpace(name))
		if !slices.Contains(all, r) {
			return nil, usagef("--role: want all, or a list of gateway, mediation, admin")
		}
		roles = append(roles, r)
	}
	return roles, nil
}
