package locate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ErrNowhere says that DNS knows no place that can be used.
var ErrNowhere = errors.New("locate: no usable record")

// Query says what to look for.
type Query struct {
	Host   string
	Port   uint16                               // known port: then only addresses are looked up; 0 = look up
	Net    string                               // known transport, "udp", "tcp" or "tls"; empty = look up
	Serves func(network string, ipv6 bool) bool // what the asker can use
}

// Place is one address to try. Lower priorities come first; weights share the load
// within one (RFC 2782).
type Place struct {
	Net              string
	Addr             netip.AddrPort
	Priority, Weight int
}

// Resolver asks DNS servers.
type Resolver struct {
	servers  []string
	exchange dns.Client
	stream   dns.Client // for answers that do not fit into a datagram
}

const (
	tries      = 2
	tryTime    = 2 * time.Second
	unknownTTL = time.Minute
)

// New makes a Resolver for one server, or the system's with a zero address.
func New(server netip.AddrPort) (*Resolver, error) {
	r := &Resolver{exchange: dns.Client{Timeout: tryTime}, stream: dns.Client{Net: "tcp", Timeout: tryTime}}
	if server.IsValid() {
		r.servers = []string{server.String()}
		return r, nil
	}
	system, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil, fmt.Errorf("locate: read the system's DNS servers: %w", err)
	}
	for _, s := range system.Servers {
		r.servers = append(r.servers, net.JoinHostPort(s, system.Port))
	}
	return r, nil
}

// Find returns the places of a host and how long they are good for.
func (r *Resolver) Find(ctx context.Context, q Query) ([]Place, time.Duration, error) {
	s := search{resolver: r, query: q, ttl: time.Hour}
	places, err := s.run(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("locate %s: %w", q.Host, err)
	}
	if len(places) == 0 {
		return nil, 0, fmt.Errorf("locate %s: %w", q.Host, ErrNowhere)
	}
	return places, s.ttl, nil
}

// search is one Find.
type search struct {
	resolver *Resolver
	query    Query
	ttl      time.Duration // the shortest so far
	refused  bool          // a service is said not to be offered
}

// service is one SRV name with its transport.
type service struct{ net, name string }

func (s *search) run(ctx context.Context) ([]Place, error) {
	q := s.query
	if q.Port != 0 {
		return s.addresses(ctx, q.Host, q.Port, cmp.Or(q.Net, "udp"), 0, 0)
	}
	services, err := s.services(ctx)
	if err != nil {
		return nil, err
	}
	var places []Place
	for i, sv := range services {
		found, err := s.srv(ctx, sv, i)
		if err != nil {
			return nil, err
		}
		places = append(places, found...)
	}
	if len(places) > 0 || s.refused {
		return places, nil
	}
	network := cmp.Or(q.Net, "udp")
	return s.addresses(ctx, q.Host, defaultPort(network), network, 0, 0)
}

func defaultPort(network string) uint16 {
	if network == "tls" {
		return 5061
	}
	return 5060
}

// services lists the SRV names to ask for, the preferred one first: what NAPTR says,
// else every transport that can be used (RFC 3263 clause 4.1).
func (s *search) services(ctx context.Context) ([]service, error) {
	q := s.query
	guesses := []service{{"tls", "_sips._tcp." + q.Host}, {"tcp", "_sip._tcp." + q.Host}, {"udp", "_sip._udp." + q.Host}}
	if q.Net != "" {
		return slices.DeleteFunc(guesses, func(g service) bool { return g.net != q.Net }), nil
	}
	answers, err := s.ask(ctx, q.Host, dns.TypeNAPTR)
	if err != nil {
		return nil, err
	}
	var pointers []*dns.NAPTR
	for _, a := range answers {
		if n, ok := a.(*dns.NAPTR); ok && strings.EqualFold(n.Flags, "s") && s.usable(transportOf(n.Service)) {
			pointers = append(pointers, n)
		}
	}
	slices.SortStableFunc(pointers, func(a, b *dns.NAPTR) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	var list []service
	for _, n := range pointers {
		list = append(list, service{transportOf(n.Service), n.Replacement})
	}
	if len(list) > 0 {
		return list, nil
	}
	return slices.DeleteFunc(guesses, func(g service) bool { return !s.usable(g.net) }), nil
}

func transportOf(naptr string) string {
	switch strings.ToUpper(naptr) {
	case "SIP+D2U":
		return "udp"
	case "SIP+D2T":
		return "tcp"
	case "SIPS+D2T":
		return "tls"
	}
	return ""
}

func (s *search) usable(network string) bool {
	return network != "" && (s.query.Serves(network, false) || s.query.Serves(network, true))
}

// perService separates the priorities of one service from the next one's.
const perService = 1 << 16

// srv looks up one service (RFC 2782).
func (s *search) srv(ctx context.Context, sv service, rank int) ([]Place, error) {
	answers, err := s.ask(ctx, sv.name, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	var places []Place
	for _, a := range answers {
		record, ok := a.(*dns.SRV)
		if !ok {
			continue
		}
		if record.Target == "." { // RFC 2782: decidedly not offered here
			s.refused = true
			continue
		}
		found, err := s.addresses(ctx, record.Target, record.Port, sv.net, rank*perService+int(record.Priority), int(record.Weight))
		if err != nil {
			return nil, err
		}
		places = append(places, found...)
	}
	return places, nil
}

// addresses looks up a host's addresses in the families that can be used.
func (s *search) addresses(ctx context.Context, host string, port uint16, network string, priority, weight int) ([]Place, error) {
	var places []Place
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if !s.query.Serves(network, kind == dns.TypeAAAA) {
			continue
		}
		answers, err := s.ask(ctx, host, kind)
		if err != nil {
			return nil, err
		}
		for _, a := range answers {
			if addr, ok := addressOf(a); ok {
				places = append(places, Place{Net: network, Addr: netip.AddrPortFrom(addr, port), Priority: priority, Weight: weight})
			}
		}
	}
	return places, nil
}

func addressOf(rr dns.RR) (netip.Addr, bool) {
	var raw net.IP
	switch rr := rr.(type) {
	case *dns.A:
		raw = rr.A
	case *dns.AAAA:
		raw = rr.AAAA
	}
	addr, ok := netip.AddrFromSlice(raw)
	return addr.Unmap(), ok
}

// ask returns the answers to one question, none for a name that does not exist.
func (s *search) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	question.SetEdns0(dns.DefaultMsgSize, false)
	var last error
	for range tries {
		for _, server := range s.resolver.servers {
			reply, err := s.resolver.put(ctx, question, server)
			if err != nil {
				last = err
				continue
			}
			switch reply.Rcode {
			case dns.RcodeSuccess, dns.RcodeNameError:
				s.note(reply)
				return reply.Answer, nil
			}
			last = errors.New("server says " + dns.RcodeToString[reply.Rcode])
		}
	}
	return nil, last
}

func (r *Resolver) put(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	reply, _, err := r.exchange.ExchangeContext(ctx, question, server)
	if err == nil && reply.Truncated {
		reply, _, err = r.stream.ExchangeContext(ctx, question, server)
	}
	return reply, err
}

// note keeps the shortest life of what was learned.
func (s *search) note(reply *dns.Msg) {
	if len(reply.Answer) == 0 {
		s.ttl = min(s.ttl, unknownTTL)
	}
	for _, a := range reply.Answer {
		s.ttl = min(s.ttl, time.Duration(a.Header().Ttl)*time.Second)
	}
}
