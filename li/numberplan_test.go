package li_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ligate/ligate/li"
)

func germany() li.NumberPlan {
	return li.NumberPlan{CountryCode: "49", NationalPrefix: "0", InternationalPrefixes: []string{"00"}}
}

func russia() li.NumberPlan {
	return li.NumberPlan{CountryCode: "7", NationalPrefix: "8", InternationalPrefixes: []string{"810"}}
}

func italy() li.NumberPlan {
	return li.NumberPlan{CountryCode: "39", InternationalPrefixes: []string{"00"}}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	const berlin = "4930123456"
	tests := map[string]struct {
		plan li.NumberPlan
		in   string
		want string // what Reveal gives
	}{
		"international":                    {germany(), "+4930123456", berlin},
		"international prefix":             {germany(), "004930123456", berlin},
		"national prefix":                  {germany(), "030123456", berlin},
		"separators":                       {germany(), " +49 (30) 12-34.5/6 ", berlin},
		"zero in brackets":                 {germany(), "+49 (0)30 123456", berlin},
		"zero in brackets, abroad":         {germany(), "+44(0)2079460000", "442079460000"},
		"digit zero in brackets":           {germany(), "+44 2079(0)60000", "442079060000"},
		"zero left behind the code":        {germany(), "+49 030 123456", berlin},
		"zero belongs to the number":       {italy(), "+39 06 1234567", "39061234567"},
		"eight belongs to the number":      {russia(), "+7 812 1234567", "78121234567"},
		"eight is the prefix":              {russia(), "8 812 1234567", "78121234567"},
		"no plan at all":                   {li.NumberPlan{}, "+4930123456", berlin},
		"tel uri":                          {germany(), "tel:+49-30-123456", berlin},
		"tel uri in capitals":              {germany(), "TEL:+4930123456;isub=12", berlin},
		"tel uri, country as context":      {germany(), "tel:30123456;phone-context=+49", berlin},
		"tel uri, area as context":         {germany(), "tel:123456;Phone-Context=+49-30", berlin},
		"tel uri, prefix under context":    {germany(), "tel:030123456;phone-context=+49", berlin},
		"tel uri, 00 under context":        {germany(), "tel:004930123456;phone-context=+49", berlin},
		"tel uri, eight under context":     {russia(), "tel:8121234567;phone-context=+7", "78121234567"},
		"tel uri, zero stays in context":   {italy(), "tel:061234567;phone-context=+39", "39061234567"},
		"tel uri, context is a domain":     {germany(), "tel:030123456;phone-context=example.com", berlin},
		"longest number":                   {germany(), "+123456789012345", "123456789012345"},
		"sip uri":                          {germany(), "sip:alice@example.com", "sip:alice@example.com"},
		"sips is the same party":           {germany(), "SIPS:alice@Example.COM.", "sip:alice@example.com"},
		"user keeps its case":              {germany(), "sip:Alice@example.com", "sip:Alice@example.com"},
		"password, port, rest are dropped": {germany(), "sip:a:pw@h.example:5080;transport=tcp?x=y", "sip:a@h.example"},
		"ipv6 host, one spelling":          {germany(), "sip:a@[2001:DB8:0::1]:5060", "sip:a@[2001:db8::1]"},
		"escapes of plain characters":      {germany(), "sip:%61l%69ce%2Ddoe@h", "sip:alice-doe@h"},
		"escaped plus":                     {germany(), "sip:%2B4930123456@h", "sip:+4930123456@h"},
		"escapes of reserved characters":   {germany(), "sip:a%3ab%40c%3bd@h", "sip:a%3Ab%40c%3Bd@h"},
		"octet of zero stays escaped":      {germany(), "sip:a%00@h", "sip:a%00@h"},
		"raw mark that must be escaped":    {germany(), "sip:#31#030@h", "sip:%2331%23030@h"},
		"per cent sign that escapes none":  {germany(), "sip:100%@h", "sip:100%25@h"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.plan.ParseTarget(tt.in)
			if err != nil || got.Reveal() != tt.want {
				t.Errorf("got %q, %v; want %q", got.Reveal(), err, tt.want)
			}
		})
	}
}

func TestParseTargetRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   string
		want error
	}{
		"nothing":                    {"", li.ErrE164},
		"only a plus":                {"+", li.ErrE164},
		"emergency number":           {"110", li.ErrShort},
		"emergency, international":   {"+49110", li.ErrShort},
		"emergency, under context":   {"tel:112;phone-context=+49", li.ErrShort},
		"no prefix":                  {"30123456", li.ErrE164},
		"country code without plus":  {"4930123456", li.ErrE164},
		"letters":                    {"+49 30 FLOWERS", li.ErrE164},
		"other digits":               {"+49 30 १२३४५६", li.ErrIdentity},
		"plus inside":                {"+49+30123456", li.ErrE164},
		"sixteen digits":             {"+1234567890123456", li.ErrE164},
		"country code zero":          {"+0301234567", li.ErrE164},
		"service code":               {"*31#030123456", li.ErrE164},
		"user and host, no scheme":   {"alice@example.com", li.ErrSIPURI},
		"other scheme":               {"mailto:alice@example.com", li.ErrIdentity},
		"urn":                        {"urn:service:sos", li.ErrIdentity},
		"host only":                  {"sip:example.com", li.ErrSIPURI},
		"empty user":                 {"sip:@example.com", li.ErrSIPURI},
		"password only":              {"sip::pw@example.com", li.ErrSIPURI},
		"no host":                    {"sip:alice@", li.ErrSIPURI},
		"two at signs":               {"sip:alice@evil@example.com", li.ErrSIPURI},
		"space in user":              {"sip:al ice@example.com", li.ErrSIPURI},
		"angle brackets":             {"sip:<alice@example.com>", li.ErrSIPURI},
		"empty label":                {"sip:alice@example..com", li.ErrSIPURI},
		"open ipv6 reference":        {"sip:alice@[2001:db8::1", li.ErrSIPURI},
		"ipv4 in brackets":           {"sip:alice@[192.0.2.1]", li.ErrSIPURI},
		"zone in ipv6 reference":     {"sip:alice@[fe80::1%eth0]", li.ErrSIPURI},
		"not in ascii":               {"sip:jörg@example.com", li.ErrIdentity},
		"longer than any identity":   {"sip:" + strings.Repeat("a", 256) + "@h", li.ErrIdentity},
		"escapes make it too long":   {"sip:" + strings.Repeat("#", 200) + "@h", li.ErrSIPURI},
		"parameter before at, no id": {"sip:;user=phone", li.ErrSIPURI},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := germany().ParseTarget(tt.in)
			if !errors.Is(err, tt.want) || !id.IsZero() {
				t.Errorf("got %q, %v; want %v", id.Reveal(), err, tt.want)
			}
		})
	}
}

// What a SIP message may write in a URI, and whom it names.
func TestIdentities(t *testing.T) {
	t.Parallel()
	const berlin = "4930123456"
	tests := map[string]struct {
		in   string
		want []string
	}{
		"number of a trunk":          {"sip:+4930123456@192.0.2.1:5060;user=phone", []string{berlin, "sip:+4930123456@192.0.2.1"}},
		"national, no user=phone":    {"sip:030123456@example.com", []string{berlin, "sip:030123456@example.com"}},
		"context in the user part":   {"sip:123456;phone-context=+4930@example.com;user=phone", []string{berlin, "sip:123456;phone-context=+4930@example.com"}},
		"portability data":           {"sip:+4930123456;npdi;rn=+4930999@h", []string{berlin, "sip:+4930123456;npdi;rn=+4930999@h"}},
		"password":                   {"sip:+4930123456:1234@h", []string{berlin, "sip:+4930123456@h"}},
		"escaped digits":             {"sip:%2B%34%3930123456@h", []string{berlin, "sip:+4930123456@h"}},
		"escaped separator":          {"sip:+4930123456%3Bx=y@h", []string{berlin, "sip:+4930123456%3Bx=y@h"}},
		"own number withheld":        {"sip:#31#030123456@h", []string{berlin, "sip:%2331%23030123456@h"}},
		"own number shown":           {"sip:*31%23+4930123456@h", []string{berlin, "sip:*31%23+4930123456@h"}},
		"code that is no prefix":     {"sip:*21*030123456%23@h", []string{"sip:*21*030123456%23@h"}},
		"name":                       {"sip:alice@example.com", []string{"sip:alice@example.com"}},
		"at sign in the headers":     {"sip:+4930123456@h?subject=a@b", []string{berlin, "sip:+4930123456@h"}},
		"at sign in a parameter":     {"sip:+4930123456@h;x=a@b", []string{berlin, "sip:+4930123456@h"}},
		"padded parameter":           {"sip:+4930123456@h;x=" + strings.Repeat("a", 4000), []string{berlin, "sip:+4930123456@h"}},
		"padded with separators":     {"tel:+49" + strings.Repeat("-", 4000) + "30123456", []string{berlin}},
		"padded user":                {"sip:+4930123456;x=" + strings.Repeat("a", 4000) + "@h", []string{berlin}},
		"bad host, good number":      {"sip:+4930123456@bad host", []string{berlin}},
		"not in ascii":               {"sip:jörg@h", []string{"sip:j%C3%B6rg@h"}},
		"tel":                        {"tel:+49-30-123456;npdi", []string{berlin}},
		"tel, escaped":               {"tel:%2B4930123456", []string{berlin}},
		"tel, local without context": {"tel:123456", nil},
		"emergency":                  {"sip:112@h", []string{"sip:112@h"}},
		"emergency urn":              {"urn:service:sos", nil},
		"anonymous":                  {"sip:anonymous@anonymous.invalid", []string{"sip:anonymous@anonymous.invalid"}},
		"host only":                  {"sip:example.com", nil},
		"star":                       {"*", nil},
		"nothing":                    {"", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, id := range germany().Identities(tt.in) {
				got = append(got, id.Reveal())
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPlanValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		plan li.NumberPlan
		want error
	}{
		"none":                {li.NumberPlan{}, nil},
		"germany":             {germany(), nil},
		"country with plus":   {li.NumberPlan{CountryCode: "+49"}, li.ErrPlan},
		"country too long":    {li.NumberPlan{CountryCode: "4930"}, li.ErrPlan},
		"national not digits": {li.NumberPlan{CountryCode: "49", NationalPrefix: "o"}, li.ErrPlan},
		"prefix too long":     {li.NumberPlan{InternationalPrefixes: []string{"00", "000000"}}, li.ErrPlan},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := tt.plan.Validate(); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// targetText is how a store writes an identity down.
func targetText(id li.Identity) string {
	if id.Kind() == li.E164 {
		return "+" + id.Reveal()
	}
	return id.Reveal()
}

// A target that was stored must be read as the same target, under any plan.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{
		"+49 (0)30 123456", "030/123456", "tel:30123456;phone-context=+49", "sip:a%3ab@H.example.", "sip:#31#@[2001:DB8::1]:5060",
		"+490030123456", "+49(0)030123456", "sip:%@a", "sips:x;y=z:pw@h?q=@",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := germany().ParseTarget(s)
		if err != nil {
			if !id.IsZero() {
				t.Fatal("an error came with an identity")
			}
			if s != "" && strings.Contains(err.Error(), s) && len(s) > 12 {
				t.Fatal("the error quotes its input")
			}
			return
		}
		text := targetText(id)
		for name, plan := range map[string]li.NumberPlan{"no": {}, "own": germany(), "other": russia()} {
			back, err := plan.ParseTarget(text)
			if err != nil || back != id {
				t.Fatalf("%q under %s plan: %q, %v", text, name, back.Reveal(), err)
			}
		}
		if id.Kind() == li.SIPURI && len(germany().Identities(text)) == 0 {
			t.Fatal("a target that no message could name")
		}
	})
}

func FuzzIdentities(f *testing.F) {
	for _, s := range []string{
		"sip:+4930123456;phone-context=+49@h", "tel:*31#030123456", "sip:%2B49@[::1]", "sip:a@b@c", "urn:service:sos", "sip:jörg@h",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ids := germany().Identities(s)
		if len(ids) > 2 {
			t.Fatalf("%d identities", len(ids))
		}
		for _, id := range ids {
			// Every identity of a message can be ordered as a target.
			back, err := li.NumberPlan{}.ParseTarget(targetText(id))
			if err != nil || back != id {
				t.Fatalf("%q: %q, %v", targetText(id), back.Reveal(), err)
			}
		}
	})
}

// What a peer sends without a prefix is read as its own plan says, and as nobody's
// number without one.
func TestPeersPlan(t *testing.T) {
	t.Parallel()
	base := li.NumberPlan{CountryCode: "49", NationalPrefix: "0", InternationalPrefixes: []string{"00"}}
	for name, c := range map[string]struct {
		bare      li.Bare
		tech      string
		uri, want string
	}{
		"unread":                          {li.Unread, "", "sip:49301234567@x", ""},
		"international":                   {li.BareInternational, "", "sip:49301234567@x", "49301234567"},
		"national":                        {li.BareNationalNumber, "", "tel:301234567", "49301234567"},
		"too short":                       {li.BareNationalNumber, "", "sip:110@x", ""},
		"prefixes still count":            {li.BareInternational, "", "sip:030123456@x", "4930123456"},
		"technical prefix":                {li.BareInternational, "777", "sip:77749301234567@x", "49301234567"},
		"technical prefix, then national": {li.Unread, "777", "sip:777030123456@x", "4930123456"},
		"plus is never technical":         {li.Unread, "49", "sip:+49301234567@x", "49301234567"},
	} {
		plan := base
		plan.Bare, plan.TechPrefix = c.bare, c.tech
		if err := plan.Validate(); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, id := range plan.Identities(c.uri) {
			if id.Kind() == li.E164 {
				got = id.Reveal()
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
