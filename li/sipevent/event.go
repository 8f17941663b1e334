package sipevent

// Stage is what a SIP message means for the session it belongs to.
type Stage uint8

// The stages. The zero value is invalid.
const (
	Begin    Stage = iota + 1 // first INVITE of a dialog: opens a session
	Continue                  // any later message of it
	End                       // final response to BYE, or final failure of the set-up: closes it
	Report                    // outside any session: REGISTER, MESSAGE, OPTIONS ...
)

// Event is what mediation must know of a SIP message, so that it can take the
// message itself as octets. It rides in X2 attribute 4.
type Event struct {
	Stage  Stage
	Method string // of the request or, for a response, of its CSeq; one of the known methods or "OTHER"
	Status int    // 100..699 for a response, 0 for a request
}

// Methods of an End that no message brought: the network element itself found that
// the session is over. Such an event has no status and no SIP message.
const (
	NoMedia = "NO-MEDIA" // nobody sent media for too long
	Idle    = "IDLE"     // neither signalling nor media came for too long, or a session timer ran out
)
