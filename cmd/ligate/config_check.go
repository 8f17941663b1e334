package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ligate/ligate/bus"
	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/warrant/document"
)

// role is a part of ligate that one process may run.
type role string

const (
	roleGateway   role = "gateway"
	roleMediation role = "mediation"
	roleAdmin     role = "admin"
)

// loadConfig reads, decodes and checks a file for the given roles. Every fault is
// reported at once as a *configError.
func loadConfig(path string, roles []role) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return parseConfig(path, text, roles)
}

func parseConfig(path string, text []byte, roles []role) (*config, error) {
	cfg, d := decodeConfig(text)
	if len(d.faults) == 0 {
		cfg.setDefaults()
		c := checker{decoder: d}
		c.check(cfg, roles)
	}
	if len(d.faults) > 0 {
		return nil, &configError{File: path, Faults: d.faults}
	}
	return cfg, nil
}

// checker looks for faults of meaning.
type checker struct{ *decoder }

// want reports rule at the line of the key, or of its nearest parent that is
// written down.
func (c checker) want(ok bool, path, rule string) {
	if ok {
		return
	}
	line, at := 1, path
	for at != "" {
		if l, found := c.lines[at]; found {
			line = l
			break
		}
		cut := max(strings.LastIndexByte(at, '.'), strings.LastIndexByte(at, '['), 0)
		at = at[:cut]
	}
	c.fail(line, path, rule)
}

func (c checker) check(cfg *config, roles []role) {
	c.want(cfg.DataDir != "", "data_dir", "required: the folder for all state")
	c.want(slices.Contains([]string{"debug", "info", "warn", "error"}, cfg.Log.Level), "log.level", "want debug, info, warn or error")
	c.want(len(cfg.Operator.ID) >= 1 && len(cfg.Operator.ID) <= 16, "operator.id", "required: 1 to 16 characters")
	c.want(len(cfg.Operator.Element) <= 16, "operator.element", "want at most 16 characters")
	c.want(regexp.MustCompile(`^[A-Z]{2}$`).MatchString(cfg.Operator.Country), "operator.country", "want two capitals such as DE (ISO 3166-1)")
	c.want(cfg.plan().Validate() == nil, "number_plan", "want country_code of 1 to 3 digits and prefixes of digits")
	c.want(cfg.Database.URL == "" || validPostgresURL(cfg.Database.URL), "database.url", "want postgres://… or nothing for a private Postgres")
	c.checkListen(cfg.Metrics.Listen, "metrics.listen", false)
	c.checkListen(cfg.LIMetrics.Listen, "li_metrics.listen", false)
	for i, fp := range cfg.LIMetrics.Certificates {
		c.want(validFingerprint(fp), fmt.Sprintf("li_metrics.certificates[%d]", i), "want the SHA-256 of a certificate: 64 lower-case hexadecimal digits")
	}
	c.want(cfg.Bus.MaxBytes >= 1<<20, "bus.max_bytes", "want at least 1048576")
	c.want(cfg.Bus.SpoolBytes >= 1<<20, "bus.spool_bytes", "want at least 1048576")
	if slices.Contains(roles, roleGateway) {
		c.checkGateway(cfg)
	}
	c.checkSplit(cfg, roles)
	if slices.Contains(roles, roleMediation) {
		every := time.Duration(cfg.Mediation.SegmentEvery)
		c.want(!strings.Contains(cfg.Mediation.Store, "://"), "mediation.store", "want a folder: buckets are not served by this version")
		c.want(every >= 100*time.Millisecond && every <= time.Minute, "mediation.segment_every", "want 100ms to 1m")
		keep := time.Duration(cfg.Mediation.DropKeep)
		c.want(keep == 0 || keep >= time.Hour, "mediation.drop_keep", "want 0s (files stay) or at least 1h")
		c.checkElements(cfg, slices.Contains(roles, roleAdmin))
	}
	if slices.Contains(roles, roleAdmin) {
		c.checkAdmin(cfg)
		c.checkAudit(cfg.Audit)
	}
}

// checkSplit looks at what roles in different processes must know of each other.
func (c checker) checkSplit(cfg *config, roles []role) {
	gateway, mediation, admin := slices.Contains(roles, roleGateway), slices.Contains(roles, roleMediation), slices.Contains(roles, roleAdmin)
	cluster := len(cfg.Bus.Cluster.URLs) > 0
	exports := gateway && cfg.Gateway.Export.exports()
	c.checkListen(cfg.Bus.Listen, "bus.listen", gateway && !mediation && !cluster && !exports)
	if exports {
		c.checkExport(cfg, mediation)
	}
	c.want(cfg.Bus.Listen == "" || !cluster, "bus.listen", "want nothing with bus.cluster: there mediation reads the cluster")
	c.checkCluster(cfg.Bus.Cluster)
	c.want(cfg.Bus.Listen == "" || validFingerprint(cfg.Bus.MediationCertificate), "bus.mediation_certificate",
		"required with listen: the SHA-256 of the mediation's certificate (ligate config certificates)")
	c.want(!gateway || admin || cfg.Gateway.X1.Certificate != "", "gateway.x1.certificate",
		"required where the ADMF runs elsewhere: the SHA-256 of its certificate (ligate config certificates)")
	c.want(!mediation || gateway || cluster || cfg.Mediation.X2X3.Listen != "" || len(cfg.Mediation.Sources) > 0, "mediation.sources",
		"required where no gateway runs in this process, unless there is bus.cluster or mediation.x2x3.listen")
	for i, s := range cfg.Mediation.Sources {
		path := fmt.Sprintf("mediation.sources[%d]", i)
		c.checkListen(s.Addr, path+".addr", true)
		c.want(validFingerprint(s.Certificate), path+".certificate", "want the SHA-256 of the gateway's bus certificate: 64 lower-case hexadecimal digits")
	}
}

func (c checker) checkCluster(cluster clusterConfig) {
	files := []string{cluster.CA, cluster.Certificate, cluster.Key}
	secure := files[0] != "" && files[1] != "" && files[2] != ""
	c.want(secure || !slices.ContainsFunc(files, func(s string) bool { return s != "" }), "bus.cluster", "want ca, certificate and key, PEM files, together")
	c.want(len(cluster.URLs) > 0 || !secure, "bus.cluster.urls", "required: at least one tls://host:port")
	c.want(cluster.Replicas >= 1 && cluster.Replicas <= maxReplicas, "bus.cluster.replicas", "want 1 to 5, and no more than there are servers")
	for i, u := range cluster.URLs {
		path := fmt.Sprintf("bus.cluster.urls[%d]", i)
		switch err := bus.CheckURL(u, secure); {
		case errors.Is(err, bus.ErrPlain):
			c.want(false, path, "want ca, certificate and key beside it: without TLS only nats:// on a loopback address")
		case err != nil:
			c.want(false, path, "want tls://host:port, without a user or password")
		}
	}
}

func (c checker) checkGateway(cfg *config) {
	g := cfg.Gateway
	c.want(g.ID != "", "gateway.id", "required: the name of this network element on X1")
	c.checkListen(g.X1.Listen, "gateway.x1.listen", true)
	c.checkX1(cfg)
	c.want(g.X1.Certificate == "" || validFingerprint(g.X1.Certificate), "gateway.x1.certificate", "want the SHA-256 of the ADMF's certificate: 64 lower-case hexadecimal digits")
	c.want(len(g.SIP.Listen) > 0, "gateway.sip.listen", "required: at least one {net, addr}")
	for i, l := range g.SIP.Listen {
		path := fmt.Sprintf("gateway.sip.listen[%d]", i)
		c.want(validNet(l.Net), path+".net", "want udp, tcp or tls")
		c.want(l.Net != "tls" || g.SIP.TLS.Certificate != "" && g.SIP.TLS.Key != "", "gateway.sip.tls", "required with a listener on tls: certificate and key, PEM files")
		c.checkListen(l.Addr, path+".addr", true)
	}
	for i, n := range g.SIP.Emergency {
		c.want(regexp.MustCompile(`^[0-9*#]{1,15}$`).MatchString(n), fmt.Sprintf("gateway.sip.emergency[%d]", i), "want a number as it is dialled, such as \"112\"")
	}
	_, err := netip.ParseAddrPort(g.SIP.DNS)
	c.want(g.SIP.DNS == "" || err == nil, "gateway.sip.dns", "want address and port such as 192.0.2.53:53")
	timeout := time.Duration(*g.Media.Timeout)
	c.want(timeout == 0 || timeout >= 10*time.Second, "gateway.media.timeout", "want 0s (only after two hours) or at least 10s")
	c.want(*g.Drain >= 0, "gateway.drain", "want 0s or longer")
	c.checkOther(g.Media.AccessAddr, g.Media.AccessOther, "gateway.media.access_other")
	c.checkOther(g.Media.TrunkAddr, g.Media.TrunkOther, "gateway.media.trunk_other")
	c.want(validAddr(g.Media.AccessAddr), "gateway.media.access_addr", "required: an IP address of this machine towards subscribers")
	c.want(validAddr(g.Media.TrunkAddr), "gateway.media.trunk_addr", "required: an IP address of this machine towards trunks")
	p := g.Media.Ports
	c.want(p.Min >= 1024 && p.Max <= 65535 && p.Max-p.Min >= 3, "gateway.media.ports", "want min from 1024 and max up to 65535, at least 4 ports")
	c.want(g.Media.Threads >= 0, "gateway.media.threads", "want 0 (one a core) or more")
	c.checkPeers(g.Peers)
}

func (c checker) checkPeers(peers []peerConfig) {
	roles := map[string]int{}
	names := map[string]bool{}
	for i, p := range peers {
		path := fmt.Sprintf("gateway.peers[%d]", i)
		roles[p.Role]++
		c.want(p.Name != "" && !names[p.Name], path+".name", "required, and each name once")
		names[p.Name] = true
		c.want(p.Role == "core" || p.Role == "trunk", path+".role", "want core or trunk")
		_, host, port, err := p.where()
		c.want(validNet(p.Net) || p.Net == "" && host != "" && port == 0, path+".net", "want udp, tcp or tls")
		c.want(err == nil, path+".addr", "required: IP address and port such as 192.0.2.10:5060, or a name")
		c.checkPeerLimits(p, path)
		for j, s := range p.Sources {
			_, err := parsePrefix(s)
			c.want(err == nil, fmt.Sprintf("%s.sources[%d]", path, j), "want an IP address or a prefix such as 192.0.2.0/24")
		}
		for j, n := range p.Numbers {
			c.want(regexp.MustCompile(`^\+?[1-9][0-9]{0,14}$`).MatchString(n), fmt.Sprintf("%s.numbers[%d]", path, j), "want an E.164 prefix such as +4930")
		}
		c.want(p.Role == "core" || len(p.Numbers) == 0, path+".numbers", "only a core owns numbers")
	}
	c.want(roles["core"]+roles["trunk"] < len(peers) || roles["core"] > 0 && roles["trunk"] > 0, "gateway.peers", "want at least one core and one trunk")
}

func (c checker) checkPeerLimits(p peerConfig, path string) {
	_, known := bareReadings()[p.BareNumbers]
	c.want(known, path+".bare_numbers", "want international, national or nothing")
	c.want(regexp.MustCompile(`^[0-9]{0,5}$`).MatchString(p.TechPrefix), path+".tech_prefix", "want up to 5 digits")
	c.want(p.Weight >= 1, path+".weight", "want 1 or more")
	c.want(p.MaxCalls >= 0, path+".max_calls", "want 0 (no limit) or more")
	c.want(p.CallRate >= 0, path+".call_rate", "want 0 (no limit) or more")
	c.want(*p.Ping == 0 || time.Duration(*p.Ping) >= time.Second, path+".ping", "want 0s (none) or at least 1s")
	c.want(p.Certificate == "" || validFingerprint(p.Certificate), path+".certificate", "want the SHA-256 of the peer's certificate: 64 lower-case hexadecimal digits")
	c.want(p.Net == "tls" || p.Certificate == "" && p.TLSName == "", path+".net", "want tls for a peer with certificate or tls_name")
	c.want(p.Certificate == "" || p.TLSName == "", path+".tls_name", "want either certificate or tls_name")
}

// checkOther looks at a side's second media address.
func (c checker) checkOther(first, other, path string) {
	a, _ := netip.ParseAddr(first)
	b, err := netip.ParseAddr(other)
	c.want(other == "" || err == nil && a.Is4() != b.Is4(), path, "want an IP address of the other family, IPv4 or IPv6")
}

func validNet(name string) bool { return name == "udp" || name == "tcp" || name == "tls" }

// validName reports whether a text can be a DNS name.
func validName(s string) bool {
	return len(s) <= 253 && regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$`).MatchString(s)
}

func (c checker) checkAdmin(cfg *config) {
	c.checkListen(cfg.Admin.Listen, "admin.listen", true)
	c.checkAdminX1(cfg)
	every := time.Duration(cfg.Admin.ReconcileEvery)
	c.want(every > 0 && every <= maxReconcileEvery, "admin.reconcile_every", "want up to 1m: the law of this system asks for a comparison each minute")
	_, err := document.New(cfg.Admin.Documents.Recipients)
	c.want(err == nil || len(cfg.Admin.Documents.Recipients) == 0, "admin.documents.recipients", "want age recipients: age1…")
	c.want(len(cfg.Admin.Documents.Recipients) > 0 || !cfg.Admin.Documents.Required, "admin.documents.required", "wants admin.documents.recipients: whom the orders are sealed to")
	c.checkProfile(cfg.Admin)
	c.want(cfg.Admin.MasterKMS == "" || keyService(cfg.Admin.MasterKMS).known(), "admin.master_kms", "want the URL of a key service that this build knows, such as base64key://KEY, or nothing")
	c.checkSignIn(cfg.Admin.SignIn)
	c.want(len(cfg.Admin.Gateways) > 0, "admin.gateways", "required: at least one gateway to task")
	for i, g := range cfg.Admin.Gateways {
		path := fmt.Sprintf("admin.gateways[%d]", i)
		u, err := url.Parse(g.URL)
		c.want(g.ID != "", path+".id", "required: the gateway's id")
		c.want(err == nil && u.Scheme == "https" && u.Host != "", path+".url", "want https://host:port/X1/NE")
		local := g.ID == cfg.Gateway.ID
		c.want(validFingerprint(g.Certificate) || local && g.Certificate == "", path+".certificate", "want the SHA-256 of the gateway's certificate: 64 lower-case hexadecimal digits")
	}
}

func (c checker) checkListen(addr, path string, required bool) {
	if addr == "" {
		c.want(!required, path, "required: address and port such as 127.0.0.1:5060")
		return
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		c.want(false, path, "want address and port such as 127.0.0.1:5060")
		return
	}
	n, err := strconv.Atoi(port)
	c.want(err == nil && n >= 0 && n <= 65535 && host != "", path, "want address and port such as 127.0.0.1:5060")
}

func (c *config) plan() li.NumberPlan {
	return li.NumberPlan{
		CountryCode:           c.NumberPlan.CountryCode,
		NationalPrefix:        c.NumberPlan.NationalPrefix,
		InternationalPrefixes: c.NumberPlan.InternationalPrefixes,
	}
}

func validAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func validFingerprint(s string) bool {
	return regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(s)
}

func validPostgresURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql")
}

func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("want an address or a prefix")
	}
	return p.Masked(), nil
}
