// Package admin is /admin/v1: warrants for the compliance officer, people and
// agencies for the system administrator, alarms and gateways for both.
//
// Targets are shown to nobody in lists, and not to an approver while a warrant
// waits for approval: what is typed blind must not be on the screen.
package admin
