package x1

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ligate/ligate/li"
)

// DID names a destination on one network element: a random UUID.
type DID [16]byte

func (d DID) String() string { return li.XID(d).String() }

// ParseDID reads the canonical lower-case form.
func ParseDID(s string) (DID, error) {
	x, err := li.ParseXID(s)
	if err != nil {
		return DID{}, ErrSyntax
	}
	return DID(x), nil
}

// Delivery is what goes to a destination (DeliveryType of the schema).
type Delivery uint8

// The kinds of delivery.
const (
	DeliverX2 Delivery = iota + 1
	DeliverX3
	DeliverBoth
)

func deliveryNames() [DeliverBoth + 1]string { return [...]string{"invalid", x2Only, x3Only, x2AndX3} }

// String is the schema's name.
func (d Delivery) String() string {
	names := deliveryNames()
	if int(d) >= len(names) {
		return names[0]
	}
	return names[d]
}

func parseDelivery(name string) (Delivery, bool) {
	for d, n := range deliveryNames() {
		if d > 0 && n == name {
			return Delivery(d), true
		}
	}
	return 0, false
}

// Destination is where a network element delivers (DestinationDetails, clause
// 6.3.1.2): an address and a TCP port. Other forms of address are refused.
type Destination struct {
	DID      DID
	Name     string // friendlyName, at most 255 printable characters; empty = none
	Delivery Delivery
	Addr     netip.AddrPort
}

// DestinationDetails is a destination as a network element reports it. Odd says that
// it holds what we do not write; then only the DID counts.
type DestinationDetails struct {
	Destination

	Faulty bool // deliveryFault, or a fault that is not resolved
	Odd    bool // read only
}

func (d Destination) valid() bool {
	return d.Delivery > 0 && d.Delivery <= DeliverBoth && d.Addr.IsValid() && d.Addr.Port() > 1 && d.Addr.Addr().Zone() == "" &&
		(d.Name == "" || validIdentifier(d.Name))
}

func (w *writer) destination(d Destination) error {
	if !d.valid() {
		return ErrBody
	}
	w.el("destinationDetails", func() {
		w.text("dId", d.DID.String())
		if d.Name != "" {
			w.text("friendlyName", d.Name)
		}
		w.text("deliveryType", d.Delivery.String())
		w.el("deliveryAddress", func() { w.el("ipAddressAndPort", func() { w.address(d.Addr) }) })
	})
	return nil
}

// address writes an IPAddressPort of TS 103 280, whose elements are in its namespace.
func (w *writer) address(a netip.AddrPort) {
	in := func(name, text string) {
		w.buf.WriteString("<" + name + ` xmlns="` + ns280 + `">` + text + "</" + name + ">")
	}
	ip := a.Addr().Unmap()
	element, text := "IPv4Address", ip.String()
	if ip.Is6() {
		element, text = "IPv6Address", ip.StringExpanded()
	}
	in("address", "<"+element+">"+text+"</"+element+">")
	in("port", "<TCPPort>"+strconv.Itoa(int(a.Port()))+"</TCPPort>")
}

// readDestination reads DestinationDetails, or gives the code with which to refuse it.
// Of a refused one the DID may have been read.
func readDestination(n *node) (Destination, int) {
	s := sequence(n)
	var d Destination
	did, err := ParseDID(s.text("dId"))
	if err != nil {
		return d, CodeSyntax
	}
	d.DID = did
	if name := s.opt("friendlyName"); name != nil {
		d.Name = name.trimmed()
		if !name.leaf() || d.Name != "" && !validIdentifier(d.Name) {
			return d, CodeSyntax
		}
	}
	var ok bool
	if d.Delivery, ok = parseDelivery(s.text("deliveryType")); !ok {
		return d, CodeSyntax
	}
	at := sequence(s.want("deliveryAddress"))
	extended := s.opt("destinationDetailsExtensions") != nil
	switch {
	case extended:
		return d, CodeDestinationFailed
	case !s.done() || at.bad || len(at.kids) != 1:
		return d, CodeSyntax
	}
	if d.Addr, ok = readAddress(at.opt("ipAddressAndPort")); !ok || !d.valid() {
		return d, CodeAddressUnsupported
	}
	return d, 0
}

// readAddress reads an IPAddressPort with a TCP port.
func readAddress(n *node) (netip.AddrPort, bool) {
	if n == nil || n.extra || len(n.kids) != 2 {
		return netip.AddrPort{}, false
	}
	ip, okIP := choice(n.kids[0], "address", "IPv4Address", "IPv6Address")
	port, okPort := choice(n.kids[1], "port", "TCPPort")
	addr, err := netip.ParseAddr(ip)
	number, errPort := strconv.ParseUint(port, 10, 16)
	if !okIP || !okPort || err != nil || errPort != nil || addr.Zone() != "" {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), true
}

// choice returns the text of the one child of n, which has one of the names.
func choice(n *node, name string, of ...string) (string, bool) {
	if n.name.Space != ns280 || n.name.Local != name || n.extra || len(n.kids) != 1 {
		return "", false
	}
	kid := n.kids[0]
	for _, want := range of {
		if kid.name.Space == ns280 && kid.name.Local == want && kid.leaf() {
			return kid.trimmed(), true
		}
	}
	return "", false
}

func (w *writer) destinationResponse(d DestinationDetails) error {
	var err error
	w.el("destinationResponseDetails", func() {
		err = w.destination(d.Destination)
		w.el("destinationStatus", func() {
			status := "activeAndWorking"
			if d.Faulty {
				status = "deliveryFault"
			}
			w.text("destinationDeliveryStatus", status)
			w.empty("listOfFaults")
		})
	})
	return err
}

func readDestinationResponse(n *node) (DestinationDetails, bool) {
	s := sequence(n)
	details := s.want("destinationDetails")
	status := sequence(s.want("destinationStatus"))
	word := status.text("destinationDeliveryStatus")
	faults, ok := readFaults(status.want("listOfFaults"))
	if !ok || !s.done() || !status.done() {
		return DestinationDetails{}, false
	}
	d, code := readDestination(details)
	out := DestinationDetails{Destination: d, Faulty: word != "activeAndWorking" || len(faults) > 0}
	if code != 0 {
		id, err := ParseDID(sequence(details).text("dId"))
		return DestinationDetails{Destination: Destination{DID: id}, Faulty: out.Faulty, Odd: true}, err == nil
	}
	return out, true
}

// writeDIDs writes listOfDIDs.
func (w *writer) writeDIDs(ids []DID) {
	if len(ids) == 0 {
		w.empty("listOfDIDs")
		return
	}
	w.el("listOfDIDs", func() {
		for _, id := range ids {
			w.text("dId", id.String())
		}
	})
}

// readDIDs reads listOfDIDs; destination sets are none of ours.
func readDIDs(n *node) ([]DID, int) {
	s := sequence(n)
	var ids []DID
	for !s.bad && len(s.kids) > 0 {
		id, err := ParseDID(s.text("dId"))
		if err != nil || len(ids) == maxDIDs {
			return ids, CodeDIDUnknown
		}
		ids = append(ids, id)
	}
	if s.bad {
		return nil, CodeSyntax
	}
	return ids, 0
}

// Address reads host:port with a literal address, as a Destination has it.
func Address(s string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(strings.TrimSpace(s))
	if err != nil || a.Port() < 2 || a.Addr().Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("x1: destination: %w", ErrConfig)
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
}
