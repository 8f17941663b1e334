package sipproxy

import (
	"strings"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
)

// emergency reports whether a request asks for help: a service URN (RFC 5031) or one
// of the configured numbers. No limit holds it up.
func (p *Proxy) emergency(m *wire.Message) bool {
	uri := m.Text(m.URI)
	scheme, rest, _ := strings.Cut(uri, ":")
	switch strings.ToLower(scheme) {
	case "urn":
		service, _, _ := strings.Cut(strings.ToLower(rest), ";")
		return service == "service:sos" || strings.HasPrefix(service, "service:sos.")
	case "tel":
		return p.helps(rest)
	}
	return p.helps(m.RequestURI.User)
}

// helps reports whether the number of a user part or tel: body is an emergency number.
func (p *Proxy) helps(user string) bool {
	if cut := strings.IndexAny(user, ";:"); cut >= 0 {
		user = user[:cut]
	}
	return user != "" && p.help[strings.NewReplacer("-", "", ".", "", "(", "", ")", "").Replace(user)]
}
