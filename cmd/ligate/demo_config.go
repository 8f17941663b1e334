package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
)

// demoPorts are the addresses of the demo, all on loopback: each player has an
// address of its own, as in a network.
type demoPorts struct {
	sip, x1, api, metrics, liMetrics string
	alice, bob, office, pstn         string
}

// Ports below those that the kernel gives to outgoing connections, which could take one
// before it is listened on.
const (
	firstPort = 26_000
	lastPort  = 31_999
)

// freePorts looks for ports that nobody uses now.
func freePorts() (*demoPorts, error) {
	p := &demoPorts{}
	for _, want := range []struct {
		addr *string
		host string
	}{
		{&p.sip, "127.0.0.1"},
		{&p.x1, "127.0.0.1"},
		{&p.api, "127.0.0.1"},
		{&p.metrics, "127.0.0.1"},
		{&p.liMetrics, "127.0.0.1"},
		{&p.alice, "127.0.0.2"},
		{&p.bob, "127.0.0.3"},
		{&p.office, "127.0.0.4"},
		{&p.pstn, "127.0.0.5"},
	} {
		var err error
		if *want.addr, err = freePort(want.host); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func freePort(host string) (addr string, err error) {
	for range 100 {
		addr = net.JoinHostPort(host, strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort+1))) //nolint:gosec // no secret
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// yaml is the operator's configuration in the demo.
func (p *demoPorts) yaml(dir, liCert string) string {
	return fmt.Sprintf(`data_dir: %[1]s
log: {level: info, file: %[2]s}
operator: {id: DEMO, country: DE}
number_plan: {country_code: "49", national_prefix: "0", international_prefixes: ["00"]}
metrics: {listen: "%[3]s"}
li_metrics: {listen: "%[4]s", certificates: [%[5]s]}
gateway:
  id: gw-1
  sip:
    listen:
      - {net: udp, addr: "%[6]s"}
      - {net: tcp, addr: "%[6]s"}
  media: {access_addr: 127.0.0.1, trunk_addr: 127.0.0.1, ports: {min: 21000, max: 21999}}
  x1: {listen: "%[7]s"}
  peers:
    - {name: alice, role: core, addr: "%[8]s", trusted: true, numbers: ["%[12]s"]}
    - {name: bob, role: core, addr: "%[9]s", trusted: true, numbers: ["%[13]s"]}
    - {name: office, role: core, addr: "%[10]s", trusted: true, numbers: ["%[14]s"]}
    - {name: carrier, role: trunk, addr: "%[11]s", trusted: true}
mediation: {segment_every: 1s}
admin: {listen: "%[15]s", reconcile_every: 5s}
`, filepath.Join(dir, "operator"), filepath.Join(dir, "operator", "logs", "ligate.log"), p.metrics, p.liMetrics, liCert,
		p.sip, p.x1, p.alice, p.bob, p.office, p.pstn, aliceNumber, bobNumber, officeNumber, p.api)
}
