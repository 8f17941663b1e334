package hi1

import (
	"net/netip"
	"strings"
	"time"

	"github.com/ligate/ligate/li"
)

// Task is what is to be intercepted (LITaskObject, clause 8.2).
type Task struct {
	Common
	Reference       li.LIID
	Status          *Entry // the operator's
	DesiredStatus   *Entry // the agency's
	Timespan        *TaskTimespan
	Target          *Target
	DeliveryType    *Entry
	Destinations    []Destination
	Approvals       []Approval
	CSPID           *Endpoint
	HandlingProfile *Entry
	InvalidReason   *ErrorInfo // why it is Rejected or Invalid
	Flags           []Entry
}

// TaskTimespan holds the order's bounds and what became of it.
type TaskTimespan struct {
	Start          time.Time
	End            time.Time
	Terminated     time.Time
	Provisioned    time.Time
	Deprovisioning time.Time
}

// Target says whose communications (TargetIdentifier, clause 8.2.6).
type Target struct {
	Values  []TargetValue
	Service *Entry
}

// TargetValue is one identifier of the target, in a format of an owner.
type TargetValue struct {
	Owner string // such as ETSI
	Name  string // such as InternationalE164
	Value Value
}

// Destination is where an agency asks to receive (clause 8.2.8).
type Destination struct {
	Address  *Address
	IRIorCC  *Entry
	Handover *Entry
	Profile  *Entry
}

// Address is a DeliveryAddress of one text. Kind is the element's name.
type Address struct {
	Kind     AddressKind
	Text     string
	Endpoint *Endpoint // of AddressEndpoint
}

// AddressKind names an alternative of DeliveryAddress.
type AddressKind string

// The alternatives that are read. Ports and ranges of ports are not.
const (
	AddressIPv4     AddressKind = "IPv4Address"
	AddressIPv6     AddressKind = "IPv6Address"
	AddressE164     AddressKind = "E164Number"
	AddressFTP      AddressKind = "FTPAddress"
	AddressURL      AddressKind = "URL"
	AddressFQDN     AddressKind = "FQDN"
	AddressEmail    AddressKind = "EmailAddress"
	AddressEndpoint AddressKind = "EndpointID"
)

func describeTask(c *cursor, o *Task) {
	leaf(c, "Reference", &o.Reference, liid())
	optional(c, "Status", nsCommon, &o.Status, describeEntry)
	optional(c, "DesiredStatus", nsCommon, &o.DesiredStatus, describeEntry)
	optional(c, "Timespan", nsTask, &o.Timespan, func(c *cursor, t *TaskTimespan) {
		leaf(c, "StartTime", &t.Start, seconds())
		leaf(c, "EndTime", &t.End, seconds())
		leaf(c, "TerminationTime", &t.Terminated, seconds())
		leaf(c, "ProvisioningTime", &t.Provisioned, seconds())
		leaf(c, "DeprovisioningTime", &t.Deprovisioning, seconds())
	})
	optional(c, "TargetIdentifier", nsTask, &o.Target, describeTarget)
	optional(c, "DeliveryType", nsCommon, &o.DeliveryType, describeEntry)
	c.part("DeliveryDetails", nsTask, o.Destinations != nil, func(c *cursor) {
		list(c, "DeliveryDestination", nsTask, &o.Destinations, 1, describeDestination)
	})
	list(c, "ApprovalDetails", nsCommon, &o.Approvals, 0, describeApproval)
	optional(c, "CSPID", nsCore, &o.CSPID, describeEndpoint)
	optional(c, "HandlingProfile", nsCommon, &o.HandlingProfile, describeEntry)
	optional(c, "InvalidReason", nsCore, &o.InvalidReason, describeError)
	c.part("Flags", nsTask, o.Flags != nil, func(c *cursor) {
		list(c, "TaskFlag", nsCommon, &o.Flags, 0, describeEntry)
	})
	c.refuse("NationalLITaskingParameters", noProfile)
	c.refuse("ListOfTrafficPolicyReferences", "traffic policies are not served: leave them out")
}

func describeTarget(c *cursor, t *Target) {
	c.part("TargetIdentifierValues", nsTask, t.Values != nil, func(c *cursor) {
		list(c, "TargetIdentifierValue", nsTask, &t.Values, 1, func(c *cursor, v *TargetValue) {
			must(c, "FormatType", nsTask, v, func(c *cursor, v *TargetValue) {
				need(c, "FormatOwner", &v.Owner, short())
				need(c, "FormatName", &v.Name, short())
			})
			need(c, "Value", &v.Value, hidden())
		})
	})
	optional(c, "ServiceType", nsCommon, &t.Service, describeEntry)
}

func describeDestination(c *cursor, d *Destination) {
	optional(c, "DeliveryAddress", nsTask, &d.Address, describeAddress)
	c.refuse("EncryptionDetails", noProfile)
	optional(c, "IRIorCC", nsCommon, &d.IRIorCC, describeEntry)
	optional(c, "HandoverFormat", nsCommon, &d.Handover, describeEntry)
	optional(c, "DeliveryProfile", nsCommon, &d.Profile, describeEntry)
	c.refuse("NationalDeliveryParameters", noProfile)
}

// texts are the alternatives that are one text, in the schema's order.
func texts() []struct {
	kind AddressKind
	rule rule[string]
} {
	return []struct {
		kind AddressKind
		rule rule[string]
	}{
		{AddressIPv4, text[string](true, "an IPv4 address", func(s string) bool {
			a, err := netip.ParseAddr(s)
			return err == nil && a.Is4()
		})},
		{AddressIPv6, text[string](true, "an IPv6 address as eight groups of four lower-case digits", func(s string) bool {
			return like(s, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
		})},
		{AddressE164, e164()},
		{AddressFTP, text[string](true, "a URI", isURI)},
		{AddressURL, text[string](true, "a URI", isURI)},
		{AddressFQDN, long()},
		{AddressEmail, text[string](true, "an e-mail address", isMailbox)},
	}
}

// isURI holds for absolute URIs of plain characters.
func isURI(s string) bool {
	scheme, rest, found := strings.Cut(s, ":")
	return found && len(s) <= maxURI && of(scheme, "+-.") && !digit(scheme[0]) && alnum(scheme[0]) && of(rest, "-._~/?@!$&'()*+,;=:")
}

// isMailbox is the schema's EmailAddress.
func isMailbox(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	if !found || len(s) > maxShort || !of(local, "!#$%&'*+\\/=?^_`{|}~-.") {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if len(label) > maxLabel || !of(label, "-") || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

const (
	maxURI   = 2000
	maxLabel = 63
)

func describeAddress(c *cursor, a *Address) {
	found, kind := 0, a.Kind
	for _, t := range texts() {
		s := ""
		if kind == t.kind {
			s = a.Text
		}
		leaf(c, string(t.kind), &s, t.rule)
		if s != "" {
			a.Kind, a.Text = t.kind, s
			found++
		}
	}
	optional(c, string(AddressEndpoint), nsCore, &a.Endpoint, describeEndpoint)
	if a.Endpoint != nil {
		found++
	}
	if !c.write && a.Endpoint != nil {
		a.Kind = AddressEndpoint
	}
	if c.fault == nil && found != 1 {
		c.bad("want exactly one of IPv4Address, IPv6Address, E164Number, FTPAddress, URL, FQDN, EmailAddress and EndpointID; ports are not read")
	}
}
