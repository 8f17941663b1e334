package segment

import (
	"time"

	"github.com/ligate/ligate/li"
)

// SessionDoc is a session (one CIN) as the handover API shows it and as
// session.json keeps it. Hashes are lower-case hexadecimal SHA-256.
type SessionDoc struct {
	LIID       li.LIID    `json:"liid"`
	CIN        li.CIN     `json:"cin"`
	StartedAt  time.Time  `json:"started_at"`
	AnsweredAt *time.Time `json:"answered_at"`
	EndedAt    *time.Time `json:"ended_at"`
	Direction  string     `json:"direction"` // from_target, to_target, unknown
	EndCause   string     `json:"end_cause"`
	Segments   uint32     `json:"segments"`
	IRIRecords int64      `json:"iri_records"`
	CCRecords  int64      `json:"cc_records"`
	Missing    int64      `json:"missing"` // PDUs known to be lost
	ChainHead  string     `json:"chain_head"`
	Acked      *AckDoc    `json:"acked"`
}

// AckDoc is the agency's receipt of a session up to a chain head.
type AckDoc struct {
	ChainHead string    `json:"chain_head"`
	Person    string    `json:"person"`
	At        time.Time `json:"at"`
}

// SegmentDoc describes one sealed segment.
type SegmentDoc struct {
	Number      uint32    `json:"number"`
	Kind        Kind      `json:"kind"`
	FirstSeq    uint32    `json:"first_seq"`
	LastSeq     uint32    `json:"last_seq"`
	FirstTime   time.Time `json:"first_time"`
	LastTime    time.Time `json:"last_time"`
	Bytes       int64     `json:"bytes"`
	SHA256      string    `json:"sha256"`
	PlainSHA256 string    `json:"plain_sha256"`
	Chain       string    `json:"chain"`
	URL         string    `json:"url"`
}

// Pulled is session.json: a session and all its segments, in order.
type Pulled struct {
	Session  SessionDoc   `json:"session"`
	Segments []SegmentDoc `json:"segments"`
}
