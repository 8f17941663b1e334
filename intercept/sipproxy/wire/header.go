package wire

// Header names a header field that the proxy reads.
type Header uint8

// The header fields. Other stands for every field that is passed on unread.
const (
	Other Header = iota
	Via
	From
	To
	CallID
	CSeq
	MaxForwards
	Route
	RecordRoute
	Contact
	ContentLength
	ContentType
	ContentEncoding
	ProxyRequire
	PAssertedIdentity
	PPreferredIdentity
	PCalledPartyID
	RemotePartyID
	Diversion
	HistoryInfo
	ReferredBy
	SessionExpires
	Reason
	RetryAfter
	Timestamp
)

// headerOf finds a header by its name or compact form, in any case.
func headerOf(name []byte) Header {
	if len(name) > len("p-preferred-identity") {
		return Other
	}
	var lower [len("p-preferred-identity")]byte
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	switch string(lower[:len(name)]) {
	case "via", "v":
		return Via
	case "from", "f":
		return From
	case "to", "t":
		return To
	case "call-id", "i":
		return CallID
	case "cseq":
		return CSeq
	case "max-forwards":
		return MaxForwards
	case "route":
		return Route
	case "record-route":
		return RecordRoute
	case "contact", "m":
		return Contact
	case "content-length", "l":
		return ContentLength
	case "content-type", "c":
		return ContentType
	case "content-encoding", "e":
		return ContentEncoding
	case "proxy-require":
		return ProxyRequire
	case "p-asserted-identity":
		return PAssertedIdentity
	case "p-preferred-identity":
		return PPreferredIdentity
	case "p-called-party-id":
		return PCalledPartyID
	case "remote-party-id":
		return RemotePartyID
	case "diversion":
		return Diversion
	case "history-info":
		return HistoryInfo
	case "referred-by", "b":
		return ReferredBy
	case "session-expires", "x":
		return SessionExpires
	case "reason":
		return Reason
	case "retry-after":
		return RetryAfter
	case "timestamp":
		return Timestamp
	}
	return Other
}

// once reports whether a message may hold the field only once.
func (h Header) once() bool {
	switch h {
	case From, To, CallID, CSeq, MaxForwards, ContentLength, ContentType, SessionExpires, Timestamp:
		return true
	case Other, Via, Route, RecordRoute, Contact, ContentEncoding, ProxyRequire, PAssertedIdentity, PPreferredIdentity, PCalledPartyID,
		RemotePartyID, Diversion, HistoryInfo, ReferredBy, Reason, RetryAfter:
		return false
	}
	return false
}
