// Package profile holds what countries do differently as data: legal bases and
// their longest validity, provisional orders, deadlines, delivery, retention,
// review, notices and forms. Each value names its source and says whether it was
// read there, recalled or inferred. It is product input, not legal advice.
//
// Invariants:
//   - A profile that Load or Parse returns is whole: every section is there, every
//     value has a source and a mark, and what was read says where.
//   - Dates are computed in the zone of the order. Where a rule can be read in two
//     ways, or the clock shows a time twice, the earlier end holds.
//   - Limits refuses nothing that the profile's data does not say, and its words name
//     the rule, the latest moment and what would do; never a target.
//   - An error text names keys and rules, never values of the file.
//
// Profiles are immutable after Parse and safe for concurrent use.
package profile
