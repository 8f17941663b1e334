package main

import (
	"time"
)

// config is the YAML of one deployment, a struct a role. Packages never see it:
// wire.go turns it into their own Configs. Every field has a zero value that is
// either the written default or reported by check.
type config struct {
	DataDir    string          `yaml:"data_dir"` // all state: Postgres, bus, secrets, evidence
	Log        logConfig       `yaml:"log"`
	Operator   operatorConfig  `yaml:"operator"`
	NumberPlan planConfig      `yaml:"number_plan"`
	Database   databaseConfig  `yaml:"database"`
	Metrics    listenConfig    `yaml:"metrics"`
	LIMetrics  liMetricsConfig `yaml:"li_metrics"`
	Bus        busConfig       `yaml:"bus"`
	Gateway    gatewayConfig   `yaml:"gateway"`
	Mediation  mediationConfig `yaml:"mediation"`
	Admin      adminConfig     `yaml:"admin"`
	Audit      auditConfig     `yaml:"audit"`
}

type logConfig struct {
	Level string `yaml:"level"` // debug, info (default), warn, error
	File  string `yaml:"file"`  // default standard error
}

type operatorConfig struct {
	ID      string `yaml:"id"`      // 1 to 16 characters, as in TS 102 232-1 operatorIdentifier
	Country string `yaml:"country"` // ISO 3166-1, two capitals
	Element string `yaml:"element"` // networkElementIdentifier of this mediation on HI2 and HI3; default mdf
}

type planConfig struct {
	CountryCode           string   `yaml:"country_code"`
	NationalPrefix        string   `yaml:"national_prefix"`
	InternationalPrefixes []string `yaml:"international_prefixes"`
}

type databaseConfig struct {
	URL string `yaml:"url"` // empty: a private Postgres in data_dir/postgres
}

type listenConfig struct {
	Listen string `yaml:"listen"`
}

type liMetricsConfig struct {
	Listen       string   `yaml:"listen"`
	Certificates []string `yaml:"certificates"` // fingerprints of the LI staff's certificates
}

type busConfig struct {
	MaxBytes   int64 `yaml:"max_bytes"`   // default 8 GiB
	SpoolBytes int64 `yaml:"spool_bytes"` // what may wait for all LEMFs together; default 64 GiB
	SyncAlways bool  `yaml:"sync_always"` // fsync before each acknowledgement

	Listen               string `yaml:"listen"`                // for a mediation in another process; empty = none
	MediationCertificate string `yaml:"mediation_certificate"` // its fingerprint; required with listen

	Cluster clusterConfig `yaml:"cluster"` // NATS servers elsewhere, for several mediations; without urls none
}

type clusterConfig struct {
	URLs        []string `yaml:"urls"`        // tls://host:port; nats:// on a loopback address only
	CA          string   `yaml:"ca"`          // PEM file of the servers' authorities
	Certificate string   `yaml:"certificate"` // PEM files that we show
	Key         string   `yaml:"key"`
	Replicas    int      `yaml:"replicas"` // servers that hold each message; default 3
}

type gatewayConfig struct {
	ID    string       `yaml:"id"` // the X1 neIdentifier
	SIP   sipConfig    `yaml:"sip"`
	Media mediaConfig  `yaml:"media"`
	X1    x1Config     `yaml:"x1"`
	Peers []peerConfig `yaml:"peers"`
	Drain *duration    `yaml:"drain"` // how long running calls may go on after SIGTERM; default 1m

	Export exportConfig `yaml:"export"` // to somebody else's mediation instead of ours; without x2 and x3 none
}

// exportConfig is where X2 and X3 go.
type exportConfig struct {
	X2          string     `yaml:"x2"`          // host:port of the MDF
	X3          string     `yaml:"x3"`          // may be the same
	Certificate string     `yaml:"certificate"` // the MDF's fingerprint
	Private     bool       `yaml:"private"`     // the MDF is a ligate: it gets attribute 4 too
	TLS         pairConfig `yaml:"tls"`         // what we show; default one made at the first start
	MasterKMS   string     `yaml:"master_kms"`  // URL of the key service that encrypts that file; empty = none
}

// pairConfig are two PEM files, or nothing.
type pairConfig struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

type sipConfig struct {
	Listen    []socketConfig `yaml:"listen"`
	TLS       sipTLSConfig   `yaml:"tls"`
	Emergency []string       `yaml:"emergency"` // numbers as they are dialled; service URNs count anyway
	DNS       string         `yaml:"dns"`       // server for peers by name, address:port; default the system's
}

type sipTLSConfig struct {
	Certificate string `yaml:"certificate"` // PEM file; required with a listener on tls
	Key         string `yaml:"key"`         // PEM file
	CA          string `yaml:"ca"`          // PEM file of the authorities of peers with tls_name; default the system's
}

type socketConfig struct {
	Net  string `yaml:"net"`  // udp, tcp or tls
	Addr string `yaml:"addr"` // host:port
}

type mediaConfig struct {
	AccessAddr string `yaml:"access_addr"` // where subscribers' media arrives
	TrunkAddr  string `yaml:"trunk_addr"`  // where trunks' media arrives

	AccessOther string `yaml:"access_other"` // the same in the other address family; default none
	TrunkOther  string `yaml:"trunk_other"`

	Ports   portConfig `yaml:"ports"`
	Threads int        `yaml:"threads"` // relay threads; default one a core
	Timeout *duration  `yaml:"timeout"` // an answered call, not on hold, ends without media for so long; default 10m, 0s = after two hours
}

type portConfig struct {
	Min int `yaml:"min"`
	Max int `yaml:"max"`
}

type peerConfig struct {
	Name     string   `yaml:"name"`
	Role     string   `yaml:"role"` // core or trunk
	Net      string   `yaml:"net"`  // udp (default), tcp or tls; for a name without port the default is what DNS says
	Addr     string   `yaml:"addr"` // address:port, name:port, or a name that NAPTR and SRV records locate
	Sources  []string `yaml:"sources"`
	Trusted  bool     `yaml:"trusted"` // its asserted identities count
	Numbers  []string `yaml:"numbers"` // E.164 prefixes that a core owns
	Domains  []string `yaml:"domains"`
	Priority int      `yaml:"priority"` // lower is tried first
	Weight   int      `yaml:"weight"`   // share among peers of one priority; default 1

	Certificate string `yaml:"certificate"` // SHA-256 of its TLS certificate: then it is known by that only
	TLSName     string `yaml:"tls_name"`    // name in its TLS certificate: then it is known by that only

	BareNumbers string `yaml:"bare_numbers"` // what its numbers without a prefix are: international, national; default nobody's
	TechPrefix  string `yaml:"tech_prefix"`  // digits that it puts before every number

	Ping      *duration `yaml:"ping"`      // between OPTIONS; default 30s, 0s = none
	MaxCalls  int       `yaml:"max_calls"` // in progress at once; 0 = no limit
	CallRate  float64   `yaml:"call_rate"` // new calls a second; 0 = no limit
	Emergency bool      `yaml:"emergency"` // emergency calls go here first
	NoTCP     bool      `yaml:"no_tcp"`    // requests over 1300 octets go over UDP too
}

type mediationConfig struct {
	SegmentEvery duration `yaml:"segment_every"` // default 4s
	Store        string   `yaml:"store"`         // folder of sealed segments; default data_dir/evidence

	DropDir  string   `yaml:"drop_dir"`  // folder of agencies' capture files; default data_dir/drop
	DropKeep duration `yaml:"drop_keep"` // capture files older than this are removed; default never

	Sources []sourceConfig `yaml:"sources"` // buses of gateways in other processes

	X2X3     x2x3Config      `yaml:"x2x3"`     // where network elements that are not ours deliver
	Elements []elementConfig `yaml:"elements"` // those network elements

	Keys map[string]string `yaml:"delivery_keys"` // agency id: file with the key of its encryption container, 24 or 32 octets in base64
}

type sourceConfig struct {
	Addr        string `yaml:"addr"`        // the gateway's bus.listen
	Certificate string `yaml:"certificate"` // fingerprint of the gateway's bus certificate
}

// x2x3Config is our side of X2 and X3 towards network elements that are not ours.
type x2x3Config struct {
	Listen    string     `yaml:"listen"`     // host:port for X2 and X3; empty = none
	ListenX3  string     `yaml:"listen_x3"`  // for X3 apart: then listen takes X2 only
	TLS       pairConfig `yaml:"tls"`        // what we show; default one made at the first start
	MasterKMS string     `yaml:"master_kms"` // URL of the key service that encrypts that file; empty = none
	Skew      *duration  `yaml:"skew"`       // how far ahead of ours an element's clock may be; default 5m
	Backlog   *duration  `yaml:"backlog"`    // how old a PDU may be; default 24h
	Silence   *duration  `yaml:"silence"`    // without keep-alives for so long a connection is ended; default 3m, 0s = never
}

// elementConfig is a network element that is not ours. It gets its Tasks as
// admin.gateways says.
type elementConfig struct {
	ID          string `yaml:"id"`          // as in admin.gateways
	Certificate string `yaml:"certificate"` // its fingerprint
	X2          bool   `yaml:"x2"`          // it sends signalling
	X3          bool   `yaml:"x3"`          // it sends content
	Private     bool   `yaml:"private"`     // it is a ligate that exports with private
}

type adminConfig struct {
	Listen         string            `yaml:"listen"` // HTTPS for the three users
	Names          []string          `yaml:"names"`  // DNS names and addresses in its certificate
	Gateways       []adminNodeConfig `yaml:"gateways"`
	ReconcileEvery duration          `yaml:"reconcile_every"` // default 10s, at most 1m
	X1             adminX1Config     `yaml:"x1"`              // where gateways report
	Alarms         alarmsConfig      `yaml:"alarms"`
	HI1            bool              `yaml:"hi1"`               // electronic orders of agencies (TS 103 120)
	SignIn         signInConfig      `yaml:"sign_in"`           // beside certificates; without origin none
	Documents      documentsConfig   `yaml:"documents"`         // papers of warrants
	Profile        string            `yaml:"profile"`           // of the jurisdiction: de, nl, uk, us or a file; empty = none
	KeepsCopy      bool              `yaml:"keeps_sealed_copy"` // we may keep content sealed until a purge although the profile says buffer-only
	MasterKey      string            `yaml:"master_key"`        // file of 32 octets that opens the targets in Postgres; default the systemd credential ligate-master.key, else data_dir/secrets/master.key, made at the first start
	MasterKMS      string            `yaml:"master_kms"`        // URL of the key service that encrypts that file; empty = none
}

type documentsConfig struct {
	Recipients []string `yaml:"recipients"` // age recipients that papers are sealed to; empty: none are taken
	Required   bool     `yaml:"required"`   // no warrant is submitted without its signed order
}

type adminNodeConfig struct {
	ID          string `yaml:"id"`
	URL         string `yaml:"url"`         // https://host:port/X1/NE
	Certificate string `yaml:"certificate"` // fingerprint; empty only for a gateway in this process

	Extension    string             `yaml:"extension"`    // none: an element that is not ours and knows no end of Tasks
	Destinations destinationsConfig `yaml:"destinations"` // where such an element delivers
	Keepalive    duration           `yaml:"keepalive"`    // a Keepalive is sent so often; default none
}

// duration is a time.Duration written as Go writes it, such as 4s.
type duration time.Duration

const (
	defaultSegmentEvery   = 4 * time.Second
	defaultReconcileEvery = 10 * time.Second
	maxReconcileEvery     = time.Minute
	defaultBusBytes       = 8 << 30
	defaultSpoolBytes     = 64 << 30
	defaultReplicas       = 3
	maxReplicas           = 5
)

func (c *config) setDefaults() {
	c.setX1Defaults()
	if c.Operator.Element == "" {
		c.Operator.Element = "mdf"
	}
	if c.Log.Level == "" {
		c.Log.Level = "info"
	}
	if c.Bus.MaxBytes == 0 {
		c.Bus.MaxBytes = defaultBusBytes
	}
	if c.Bus.SpoolBytes == 0 {
		c.Bus.SpoolBytes = defaultSpoolBytes
	}
	if c.Bus.Cluster.Replicas == 0 {
		c.Bus.Cluster.Replicas = defaultReplicas
	}
	if c.Mediation.SegmentEvery == 0 {
		c.Mediation.SegmentEvery = duration(defaultSegmentEvery)
	}
	if c.Admin.ReconcileEvery == 0 {
		c.Admin.ReconcileEvery = duration(defaultReconcileEvery)
	}
	c.Admin.SignIn.setDefaults()
	c.Audit.setDefaults()
	c.Gateway.setDefaults()
	c.Mediation.X2X3.setDefaults()
	if len(c.Admin.Names) == 0 {
		c.Admin.Names = []string{"localhost", "127.0.0.1"}
	}
	if len(c.Admin.Gateways) == 0 && c.Gateway.ID != "" && c.Gateway.X1.Listen != "" {
		c.Admin.Gateways = []adminNodeConfig{{ID: c.Gateway.ID, URL: "https://" + c.Gateway.X1.Listen + "/X1/NE"}}
	}
}

const (
	defaultDrain        = duration(time.Minute)
	defaultMediaTimeout = duration(10 * time.Minute)
	defaultPing         = duration(30 * time.Second)
)

const (
	defaultSkew    = duration(5 * time.Minute)
	defaultBacklog = duration(24 * time.Hour)
	defaultSilence = duration(3 * time.Minute)
)

func (x *x2x3Config) setDefaults() {
	for _, d := range []struct {
		value **duration
		def   duration
	}{{&x.Skew, defaultSkew}, {&x.Backlog, defaultBacklog}, {&x.Silence, defaultSilence}} {
		if *d.value == nil {
			*d.value = &d.def
		}
	}
}

// exports reports whether the gateway's copies go to somebody else's mediation.
func (e exportConfig) exports() bool { return e.X2 != "" || e.X3 != "" }

func (g *gatewayConfig) setDefaults() {
	drain := defaultDrain
	timeout := defaultMediaTimeout
	if g.Media.Timeout == nil {
		g.Media.Timeout = &timeout
	}
	if g.Drain == nil {
		g.Drain = &drain
	}
	for i := range g.Peers {
		p := &g.Peers[i]
		if p.Net == "" && !validName(p.Addr) {
			p.Net = "udp"
		}
		if p.Weight == 0 {
			p.Weight = 1
		}
		if p.Ping == nil {
			ping := defaultPing
			p.Ping = &ping
		}
	}
}
