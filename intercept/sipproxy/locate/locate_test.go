package locate_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/ligate/ligate/intercept/sipproxy/locate"
)

// serve answers from zone-file lines on a real UDP and TCP socket. A name "broken." is
// answered SERVFAIL; answers of more than cut records come over TCP only.
func serve(t *testing.T, records ...string) netip.AddrPort {
	t.Helper()
	const cut = 20
	var zone []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatal(err)
		}
		zone = append(zone, rr)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		for _, rr := range zone {
			if rr.Header().Name == q.Question[0].Name && rr.Header().Rrtype == q.Question[0].Qtype {
				reply.Answer = append(reply.Answer, rr)
			}
		}
		if q.Question[0].Name == "broken." {
			reply.Rcode = dns.RcodeServerFailure
		}
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && len(reply.Answer) > cut {
			reply.Answer, reply.Truncated = nil, true
		}
		_ = w.WriteMsg(reply)
	})
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		t.Skip("the TCP port beside the UDP port is taken")
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: ln, Handler: handler}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		go func() { _ = s.ActivateAndServe() }()
		<-up
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

func all(string, bool) bool { return true }

func udp4(network string, ipv6 bool) bool { return network == "udp" && !ipv6 }

func TestFind(t *testing.T) {
	t.Parallel()
	naptr := []string{
		`c.example. 60 IN NAPTR 20 0 "s" "SIP+D2U" "" _sip._udp.c.example.`,
		`c.example. 60 IN NAPTR 10 5 "s" "SIP+D2T" "" _sip._tcp.c.example.`,
		`c.example. 60 IN NAPTR 10 1 "s" "SIPS+D2T" "" _sips._tcp.c.example.`,
		`c.example. 60 IN NAPTR 1 1 "u" "E2U+sip" "!^.*$!sip:x@y!" .`,
		`_sips._tcp.c.example. 300 IN SRV 0 0 5061 a.c.example.`,
		`_sip._tcp.c.example. 300 IN SRV 0 0 5060 a.c.example.`,
		`_sip._udp.c.example. 300 IN SRV 2 7 5070 b.c.example.`,
		`_sip._udp.c.example. 300 IN SRV 1 3 5060 a.c.example.`,
		`a.c.example. 30 IN A 192.0.2.1`, `a.c.example. 40 IN AAAA 2001:db8::1`, `b.c.example. 30 IN A 192.0.2.2`,
		`c.example. 30 IN A 192.0.2.9`,
	}
	for name, c := range map[string]struct {
		records []string
		query   locate.Query
		want    []string
		ttl     time.Duration
	}{
		"NAPTR in order, every transport": {naptr, locate.Query{Serves: all}, []string{
			"tls 192.0.2.1:5061 0 0", "tls [2001:db8::1]:5061 0 0", "tcp 192.0.2.1:5060 65536 0", "tcp [2001:db8::1]:5060 65536 0",
			"udp 192.0.2.2:5070 131074 7", "udp 192.0.2.1:5060 131073 3", "udp [2001:db8::1]:5060 131073 3",
		}, 30 * time.Second},
		"only what the asker speaks": {naptr, locate.Query{Serves: udp4}, []string{"udp 192.0.2.2:5070 2 7", "udp 192.0.2.1:5060 1 3"}, 30 * time.Second},
		"the transport is known":     {naptr, locate.Query{Net: "tcp", Serves: all}, []string{"tcp 192.0.2.1:5060 0 0", "tcp [2001:db8::1]:5060 0 0"}, 30 * time.Second},
		"the port is known":          {naptr, locate.Query{Port: 5090, Serves: all}, []string{"udp 192.0.2.9:5090 0 0"}, 30 * time.Second},
		"SRV without NAPTR": {
			[]string{`_sip._udp.c.example. 300 IN SRV 0 0 5062 c.example.`, `c.example. 50 IN A 192.0.2.9`},
			locate.Query{Serves: all},
			[]string{"udp 192.0.2.9:5062 131072 0"},
			50 * time.Second,
		},
		"address only":         {[]string{`c.example. 50 IN A 192.0.2.9`}, locate.Query{Serves: udp4}, []string{"udp 192.0.2.9:5060 0 0"}, 50 * time.Second},
		"address only, on TLS": {[]string{`c.example. 50 IN A 192.0.2.9`}, locate.Query{Net: "tls", Serves: all}, []string{"tls 192.0.2.9:5061 0 0"}, 50 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := locate.New(serve(t, c.records...))
			if err != nil {
				t.Fatal(err)
			}
			c.query.Host = "c.example"
			places, ttl, err := r.Find(t.Context(), c.query)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range places {
				got = append(got, fmt.Sprintf("%s %s %d %d", p.Net, p.Addr, p.Priority, p.Weight))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("places (-want +got):\n%s", diff)
			}
			if ttl != c.ttl && ttl != time.Minute { // a missing record is believed for a minute
				t.Errorf("good for %v, want %v", ttl, c.ttl)
			}
		})
	}
}

func TestLongAnswerComesOverTCP(t *testing.T) {
	t.Parallel()
	var records []string
	for i := range 30 {
		records = append(records, fmt.Sprintf("c.example. 60 IN A 192.0.2.%d", i+1))
	}
	r, err := locate.New(serve(t, records...))
	if err != nil {
		t.Fatal(err)
	}
	places, _, err := r.Find(t.Context(), locate.Query{Host: "c.example", Port: 5060, Serves: udp4})
	if err != nil || len(places) != 30 {
		t.Errorf("%d places, %v", len(places), err)
	}
}

func TestNothingToFind(t *testing.T) {
	t.Parallel()
	r, err := locate.New(serve(t, `_sip._udp.off.example. 300 IN SRV 0 0 0 .`, `off.example. 50 IN A 192.0.2.9`))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Find(t.Context(), locate.Query{Host: "c.example", Serves: all}); !errors.Is(err, locate.ErrNowhere) {
		t.Errorf("got %v", err)
	}
	if _, _, err := r.Find(t.Context(), locate.Query{Host: "off.example", Net: "udp", Serves: all}); !errors.Is(err, locate.ErrNowhere) {
		t.Errorf("a service that is not offered: got %v", err)
	}
	if _, _, err := r.Find(t.Context(), locate.Query{Host: "broken", Serves: all}); err == nil || errors.Is(err, locate.ErrNowhere) {
		t.Errorf("a server that fails: got %v", err)
	}
}
