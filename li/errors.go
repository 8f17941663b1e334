package li

import "errors"

// Errors of the parsers. Their texts name the rule that was broken and never
// quote the input.
var (
	ErrLIID     = errors.New("liid: want 1 to 25 visible ASCII characters without space")
	ErrXID      = errors.New("xid: want a UUID in lower case, such as 123e4567-e89b-42d3-a456-426614174000")
	ErrE164     = errors.New("e164: want + or the international prefix and 7 to 15 digits")
	ErrSIPURI   = errors.New("sip uri: want sip:user@host")
	ErrShort    = errors.New("number is too short to be a subscriber's: it may be an emergency or service number")
	ErrPlan     = errors.New("number plan: want country_code of 1 to 3 digits and prefixes of digits")
	ErrIdentity = errors.New("identity: want an E.164 number, a tel: URI or a SIP URI")
)
