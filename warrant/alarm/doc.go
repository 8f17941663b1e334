// Package alarm watches the warrant store for what needs a person, shows how many
// alarms stand, and tells a webhook that there are some.
//
// It stands beside warrant/admf, which raises the alarms that follow from what gateways
// tap, and mediation, which raises those of delivery.
//
// Invariants:
//   - An alarm is raised, acknowledged and closed in the transaction of its audit entry;
//     what the webhook is told is kept in the same transaction, so that nothing is lost.
//   - The webhook learns a kind and two opaque names: no warrant, no gateway, no count.
//   - A notice is told at least once; whoever receives it knows by its id whether it is new.
//   - Figures by kind go to LI staff only.
package alarm
