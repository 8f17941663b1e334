package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x1"
)

// x1Config is a gateway's side of X1.
type x1Config struct {
	Listen      string `yaml:"listen"`
	Certificate string `yaml:"certificate"` // fingerprint of the ADMF's certificate; empty only for an ADMF in this process

	ADMF   string `yaml:"admf"`    // https://host:port/X1/ADMF for reports; default the ADMF of this process, or none
	ADMFID string `yaml:"admf_id"` // its admfIdentifier; default ligate-admf

	Grace     *duration `yaml:"grace"`     // no calls before the ADMF has given its Tasks, for so long at most; default 5s
	Longest   duration  `yaml:"longest"`   // of an ADMF that is not ours: a Task without an end ends after this; default refused
	Keepalive duration  `yaml:"keepalive"` // all Tasks end when the ADMF is silent for so long; default each by its own clock only
}

// adminX1Config is the ADMF's own side.
type adminX1Config struct {
	Listen string `yaml:"listen"` // POST /X1/ADMF; empty = none
}

// destinationsConfig are addresses of our X2/X3 listener, as an element reaches them.
type destinationsConfig struct {
	X2 string `yaml:"x2"` // address:port
	X3 string `yaml:"x3"` // may be the same
}

type alarmsConfig struct {
	SilentAfter   *duration     `yaml:"silent_after"`    // a warrant without signalling for so long raises an alarm; default 168h, 0s = none
	VanishedAfter *duration     `yaml:"vanished_after"`  // a target that was seen before, and is not for so long, raises one; default 72h, 0s = none
	SelfTests     []string      `yaml:"self_tests"`      // LIIDs of test warrants, one for each gateway, under which ligate selftest runs
	SelfTestAfter *duration     `yaml:"self_test_after"` // without a receipt under one for so long raises an alarm; default 26h
	Webhook       webhookConfig `yaml:"webhook"`
}

// selfTests are the checked LIIDs.
func (a alarmsConfig) selfTests() []li.LIID {
	all := make([]li.LIID, len(a.SelfTests))
	for i, l := range a.SelfTests {
		all[i] = li.LIID(l)
	}
	return all
}

// webhookConfig is who is told that there is an alarm, and nothing of what it is about.
type webhookConfig struct {
	URL string `yaml:"url"` // https; http on a loopback address only
	Key string `yaml:"key"` // file with the key of the signatures, at least 32 octets
	CA  string `yaml:"ca"`  // PEM file of the receiver's authorities; default the system's
}

const (
	extensionNone      = "none"
	defaultGrace       = 5 * time.Second
	defaultSilentAfter = 7 * 24 * time.Hour
	defaultVanished    = 3 * 24 * time.Hour
	defaultSelfTest    = 26 * time.Hour
)

func (c *config) setX1Defaults() {
	if c.Gateway.X1.Grace == nil {
		grace := duration(defaultGrace)
		c.Gateway.X1.Grace = &grace
	}
	if c.Gateway.X1.ADMFID == "" {
		c.Gateway.X1.ADMFID = admfID
	}
	if c.Admin.Alarms.SilentAfter == nil {
		after := duration(defaultSilentAfter)
		c.Admin.Alarms.SilentAfter = &after
	}
	if c.Admin.Alarms.SelfTestAfter == nil {
		after := duration(defaultSelfTest)
		c.Admin.Alarms.SelfTestAfter = &after
	}
	if c.Admin.Alarms.VanishedAfter == nil {
		after := duration(defaultVanished)
		c.Admin.Alarms.VanishedAfter = &after
	}
}

func (c checker) checkX1(cfg *config) {
	x := cfg.Gateway.X1
	c.want(x.ADMF == "" || validHTTPS(x.ADMF), "gateway.x1.admf", "want https://host:port/X1/ADMF")
	c.want(*x.Grace >= 0 && time.Duration(*x.Grace) <= time.Minute, "gateway.x1.grace", "want 0s to 1m")
	c.want(x.Longest >= 0, "gateway.x1.longest", "want 0s (a Task without an end is refused) or longer")
	keepalive := time.Duration(x.Keepalive)
	c.want(keepalive == 0 || keepalive >= 10*time.Second, "gateway.x1.keepalive", "want 0s (none) or at least 10s")
}

func (c checker) checkAdminX1(cfg *config) {
	c.checkListen(cfg.Admin.X1.Listen, "admin.x1.listen", false)
	for i, g := range cfg.Admin.Gateways {
		path := fmt.Sprintf("admin.gateways[%d]", i)
		c.want(g.Extension == "" || g.Extension == extensionNone, path+".extension", "want none, for an element that is not ours, or nothing")
		foreign := g.Extension == extensionNone
		c.want(foreign || g.Destinations == destinationsConfig{}, path+".destinations", "want nothing without extension: none: our gateways deliver to their own bus")
		c.want(!foreign || g.Destinations.X2 != "", path+".destinations.x2", "required: address and port of mediation.x2x3.listen as the element reaches it")
		for name, addr := range map[string]string{"x2": g.Destinations.X2, "x3": g.Destinations.X3} {
			_, err := x1.Address(addr)
			c.want(addr == "" || err == nil, path+".destinations."+name, "want an IP address and a port such as 192.0.2.7:6543")
		}
		c.want(g.Keepalive == 0 || time.Duration(g.Keepalive) >= time.Second, path+".keepalive", "want 0s (none) or at least 1s")
	}
	c.checkAlarms(cfg.Admin.Alarms)
}

func (c checker) checkAlarms(a alarmsConfig) {
	after := time.Duration(*a.SilentAfter)
	c.want(after == 0 || after >= time.Hour, "admin.alarms.silent_after", "want 0s (none) or at least 1h")
	after = time.Duration(*a.VanishedAfter)
	c.want(after == 0 || after >= time.Hour, "admin.alarms.vanished_after", "want 0s (none) or at least 1h")
	c.want(time.Duration(*a.SelfTestAfter) >= time.Hour, "admin.alarms.self_test_after", "want at least 1h")
	for i, l := range a.SelfTests {
		_, err := li.ParseLIID(l)
		c.want(err == nil, fmt.Sprintf("admin.alarms.self_tests[%d]", i), "want the LIID of a test warrant")
	}
	h := a.Webhook
	c.want(h.URL == "" || validHTTPS(h.URL) || loopbackHTTP(h.URL), "admin.alarms.webhook.url", "want https://…, or http:// on a loopback address")
	c.want((h.URL == "") == (h.Key == ""), "admin.alarms.webhook.key", "required with url: a file with the key of the signatures")
}

func validHTTPS(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}

func loopbackHTTP(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.User != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}
