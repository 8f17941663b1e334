package sipproxy

import (
	"strings"
	"testing"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/li"
)

// The identity rule table of docs/identity-rules.md, row by row: who is a party of
// a call, on which side, and whether the message only claims it.
func TestIdentityRules(t *testing.T) {
	t.Parallel()
	plan := li.NumberPlan{CountryCode: "49", NationalPrefix: "0", InternationalPrefixes: []string{"00"}}
	const (
		sender = "onA"
		far    = "onB"
		claim  = "claimed by the sender"
		none   = ""
	)
	const target = "+4930555001"
	for name, tt := range map[string]struct {
		headers            string // beside the plain ones
		uri, from, to      string // default: strangers
		trusted, untrusted string
	}{
		"Request-URI":                     {uri: "sip:+4930555001@x", trusted: far, untrusted: far},
		"Request-URI, tel":                {uri: "tel:+4930555001", trusted: far, untrusted: far},
		"Request-URI, national":           {uri: "sip:030555001@x;user=phone", trusted: far, untrusted: far},
		"Request-URI, separators":         {uri: "tel:+49-30-555.001", trusted: far, untrusted: far},
		"Request-URI, phone-context":      {uri: "tel:030555001;phone-context=+49", trusted: far, untrusted: far},
		"Request-URI, password":           {uri: "sip:+4930555001:pw@x", trusted: far, untrusted: far},
		"To":                              {to: "<sip:+4930555001@x>", trusted: sender, untrusted: sender},
		"From":                            {from: "<sip:+4930555001@x>", trusted: sender, untrusted: claim},
		"From with display name":          {from: `"+4989" <sip:00493055 5001@x>`, trusted: none, untrusted: none},
		"From, one digit differs":         {from: "<sip:+4930555002@x>", trusted: none, untrusted: none},
		"P-Asserted-Identity":             {headers: "P-Asserted-Identity: <sip:+4930555001@x>", trusted: sender, untrusted: none},
		"P-Asserted-Identity, second":     {headers: "P-Asserted-Identity: <sip:a@x>, <tel:+4930555001>", trusted: sender, untrusted: none},
		"P-Asserted-Identity, two fields": {headers: "P-Asserted-Identity: <sip:a@x>\r\nP-Asserted-Identity: <tel:+4930555001>", trusted: sender, untrusted: none},
		"anonymous From with PAI":         {from: `"Anonymous" <sip:anonymous@anonymous.invalid>`, headers: "Privacy: id\r\nP-Asserted-Identity: <tel:+4930555001>", trusted: sender, untrusted: none},
		"P-Preferred-Identity":            {headers: "P-Preferred-Identity: <sip:+4930555001@x>", trusted: sender, untrusted: claim},
		"P-Called-Party-ID":               {headers: "P-Called-Party-ID: <sip:+4930555001@x>", trusted: far, untrusted: none},
		"Remote-Party-ID, screened":       {headers: "Remote-Party-ID: <sip:+4930555001@x>;party=calling;screen=yes", trusted: sender, untrusted: claim},
		"Remote-Party-ID, unscreened":     {headers: "Remote-Party-ID: <sip:+4930555001@x>;screen=no", trusted: claim, untrusted: claim},
		"Remote-Party-ID, called":         {headers: "Remote-Party-ID: <sip:+4930555001@x>; party=called; screen=yes", trusted: far, untrusted: "claimed of the far side"},
		"Diversion":                       {headers: "Diversion: <tel:+4930555001>;reason=unconditional", trusted: sender, untrusted: none},
		"Diversion, bottom of two":        {headers: "Diversion: <sip:b@x>;reason=no-answer\r\nDiversion: <tel:+4930555001>", trusted: sender, untrusted: none},
		"History-Info":                    {headers: "History-Info: <sip:+4930555001@x?Reason=SIP%3Bcause%3D302>;index=1, <sip:+4989@x>;index=1.1", trusted: sender, untrusted: none},
		"Referred-By":                     {headers: "Referred-By: <sip:+4930555001@x>;cid=1", trusted: claim, untrusted: claim},
		"Contact says nothing":            {headers: "Contact: <sip:+4930555001@x>", trusted: none, untrusted: none},
		"unknown field says nothing":      {headers: "X-Party: <sip:+4930555001@x>", trusted: none, untrusted: none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			or := func(s, def string) string {
				if s == "" {
					return def
				}
				return s
			}
			raw := "INVITE " + or(tt.uri, "sip:+4989000000@x") + " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: " +
				or(tt.from, "<sip:+4930999999@x>") + ";tag=1\r\nTo: " + or(tt.to, "<sip:+4989000000@x>") + "\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
			if tt.headers != "" {
				raw += tt.headers + "\r\n"
			}
			m, err := wire.Parse([]byte(raw + "Content-Length: 0\r\n\r\n"))
			if err != nil {
				if strings.Contains(tt.from, " 5001@") {
					return // refused before anybody is looked up
				}
				t.Fatal(err)
			}
			id, err := plan.ParseTarget(target)
			if err != nil {
				t.Fatal(err)
			}
			for trusted, want := range map[bool]string{true: tt.trusted, false: tt.untrusted} {
				got := none
				for _, p := range parties(m, &peer{numbers: plan, Peer: Peer{Role: RoleCore, Trusted: trusted}}, &peer{Peer: Peer{Role: RoleTrunk}}) {
					if p.id != id {
						continue
					}
					switch {
					case p.claimed && p.onA:
						got = claim
					case p.claimed:
						got = "claimed of the far side"
					case p.onA:
						got = sender
					default:
						got = far
					}
				}
				if got != want {
					t.Errorf("trusted %t: %q, want %q", trusted, got, want)
				}
			}
		})
	}
}
