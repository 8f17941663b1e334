package etsi

import (
	"net/netip"

	"github.com/ligate/ligate/li/x2x3"
)

// IRITypeNamed is the type that sealed records name begin, continue, end or report.
func IRITypeNamed(s string) IRIType {
	switch s {
	case "begin":
		return IRIBegin
	case "continue":
		return IRIContinue
	case "end":
		return IRIEnd
	}
	return IRIReport
}

// DirectionNamed is the direction that sealed records name from_target or to_target.
func DirectionNamed(s string) Direction {
	switch s {
	case "from_target":
		return DirFromTarget
	case "to_target":
		return DirToTarget
	}
	return DirIndeterminate
}

// DirectionOf is the direction that X3 gives (TS 103 221-2 clause 5.2.6).
func DirectionOf(d x2x3.Direction) Direction {
	switch d {
	case x2x3.FromTarget:
		return DirFromTarget
	case x2x3.ToTarget:
		return DirToTarget
	case x2x3.DirectionSeveral:
		return DirCombined
	case x2x3.NotApplicable:
		return DirNotApplicable
	case x2x3.DirectionKeepalive, x2x3.DirectionUnknown:
	}
	return DirIndeterminate
}

// Address is 0.0.0.0 for one that a network element did not tell: the field is
// mandatory.
func Address(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return netip.IPv4Unspecified()
	}
	return a.Unmap()
}
