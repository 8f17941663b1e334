package main

import (
	"fmt"
	"slices"
	"time"
)

// checkExport looks at what a bus of which somebody else's mediation gets all cannot
// have beside it.
func (c checker) checkExport(cfg *config, mediation bool) {
	const one = "a bus has one reader, and gateway.export is one"
	e := cfg.Gateway.Export
	c.want(!mediation, "gateway.export", "want no mediation in this process: "+one+". Run the gateway without it (ligate run --role gateway), or take the export out")
	c.want(cfg.Bus.Listen == "", "bus.listen", "want nothing with gateway.export: "+one)
	c.want(len(cfg.Bus.Cluster.URLs) == 0, "bus.cluster", "want no urls with gateway.export: "+one)
	c.checkListen(e.X2, "gateway.export.x2", true)
	c.checkListen(e.X3, "gateway.export.x3", true)
	c.want(validFingerprint(e.Certificate), "gateway.export.certificate", "required: the SHA-256 of the MDF's certificate, 64 lower-case hexadecimal digits")
	c.checkPair(e.TLS, "gateway.export.tls")
}

func (c checker) checkPair(p pairConfig, path string) {
	c.want((p.Certificate == "") == (p.Key == ""), path, "want certificate and key, PEM files, or neither")
}

// checkElements looks at the network elements that are not ours.
func (c checker) checkElements(cfg *config, admin bool) {
	x, elements := cfg.Mediation.X2X3, cfg.Mediation.Elements
	c.checkListen(x.Listen, "mediation.x2x3.listen", len(elements) > 0)
	c.checkListen(x.ListenX3, "mediation.x2x3.listen_x3", false)
	c.want(x.ListenX3 == "" || x.Listen != "", "mediation.x2x3.listen", "required with listen_x3: X2 needs its port too")
	c.want(x.Listen == "" || len(elements) > 0, "mediation.elements", "required with mediation.x2x3.listen: at least one {id, certificate, x2, x3}")
	c.checkPair(x.TLS, "mediation.x2x3.tls")
	skew, backlog, silence := time.Duration(*x.Skew), time.Duration(*x.Backlog), time.Duration(*x.Silence)
	c.want(skew >= time.Second, "mediation.x2x3.skew", "want at least 1s")
	c.want(backlog >= skew, "mediation.x2x3.backlog", "want at least skew")
	c.want(silence == 0 || silence >= time.Minute, "mediation.x2x3.silence", "want 0s (never) or at least 1m: elements send a keep-alive a minute")
	ids, certificates := map[string]bool{}, map[string]bool{}
	for i, e := range elements {
		path := fmt.Sprintf("mediation.elements[%d]", i)
		c.want(e.ID != "" && !ids[e.ID], path+".id", "required, and each id once")
		c.want(e.ID != cfg.Gateway.ID || e.ID == "", path+".id", "want another name than gateway.id: that is our own gateway")
		c.want(validFingerprint(e.Certificate) && !certificates[e.Certificate], path+".certificate",
			"required, and each certificate once: its SHA-256, 64 lower-case hexadecimal digits")
		c.want(e.X2 || e.X3, path, "want x2, x3 or both true: what it sends")
		tasked := slices.ContainsFunc(cfg.Admin.Gateways, func(g adminNodeConfig) bool { return g.ID == e.ID })
		c.want(!admin || tasked || e.ID == "", path+".id", "want it in admin.gateways too: nothing is taken but for Tasks that it was given there")
		ids[e.ID], certificates[e.Certificate] = true, true
	}
}
