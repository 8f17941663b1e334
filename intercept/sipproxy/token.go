package sipproxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/ligate/ligate/intercept/sipproxy/wire"
	"github.com/ligate/ligate/li"
)

// keyring makes the keyed hashes that stand in messages. Each shard has its own,
// since a hash has state; peers' ids need one too.
type keyring struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

func newKeyring(secret []byte) *keyring { return &keyring{mac: hmac.New(sha256.New, secret)} }

// hash mixes parts, each with its length so that no two lists give one hash. The
// result is valid until the next call.
func (k *keyring) hash(purpose string, parts ...string) []byte {
	k.mac.Reset()
	k.mac.Write([]byte(purpose))
	var size [4]byte
	for _, p := range parts {
		binary.BigEndian.PutUint32(size[:], uint32(len(p)))
		k.mac.Write(size[:])
		k.mac.Write([]byte(p))
	}
	return k.mac.Sum(k.sum[:0])
}

func (k *keyring) peerID(name string) uint32 {
	return binary.BigEndian.Uint32(k.hash("peer", name))
}

// A branch is magic, "lg", then in hex: 10 octets that name the transaction, 8
// that detect loops, 6 that authenticate both.
const (
	magic       = "z9hG4bK"
	branchMark  = magic + "lg"
	txHex       = 20
	loopHex     = 16
	branchMAC   = 6
	branchBytes = len(branchMark) + txHex + loopHex + 2*branchMAC
)

// branch computes the branch of the attempt-th forwarding of a request. ACK to a
// failure and CANCEL give the branch of their INVITE, also after a restart
// (RFC 3261 clauses 16.6 step 8, 16.10, 16.11).
func (k *keyring) branch(serverKey string, attempt int, loop string) string {
	tx := hex.EncodeToString(k.hash("tx", serverKey, string(rune('0'+attempt)))[:txHex/2])
	return branchMark + tx + loop + hex.EncodeToString(k.hash("branch", tx, loop)[:branchMAC])
}

// loop is what must differ when a request passes again (RFC 3261 clause 16.6
// step 8), except that To's tag stays out so that ACK matches its INVITE.
func (k *keyring) loop(m *wire.Message, routes string) string {
	h := k.hash("loop", m.Text(m.URI), m.CallID, m.From.Tag, number(m.Sequence), routes)
	return hex.EncodeToString(h[:loopHex/2])
}

// ours reports whether the proxy made this branch.
func (k *keyring) ours(branch string) bool {
	if len(branch) != branchBytes || !strings.HasPrefix(branch, branchMark) {
		return false
	}
	tx, rest := branch[len(branchMark):len(branchMark)+txHex], branch[len(branchMark)+txHex:]
	return hmac.Equal([]byte(rest[loopHex:]), []byte(hex.EncodeToString(k.hash("branch", tx, rest[:loopHex])[:branchMAC])))
}

func loopOf(branch string) string {
	return branch[len(branchMark)+txHex : len(branchMark)+txHex+loopHex]
}

// leg names one forwarded INVITE and the dialogs that it makes.
type leg [8]byte

func (k *keyring) leg(serverKey string) leg { return leg(k.hash("leg", serverKey)[:8]) }

// cookie is what the proxy must know of a dialog and keeps in its Record-Route.
type cookie struct {
	a, b *peer // who sent the first request, and who got it
	leg  leg
}

const (
	cookieBytes = 4 + 4 + 8
	cookieMAC   = 10
	cookieParam = "lg"
)

func (k *keyring) cookie(c cookie, callID string) string {
	var raw [cookieBytes + cookieMAC]byte
	binary.BigEndian.PutUint32(raw[:], c.a.id)
	binary.BigEndian.PutUint32(raw[4:], c.b.id)
	copy(raw[8:], c.leg[:])
	copy(raw[cookieBytes:], k.hash("cookie", string(raw[:cookieBytes]), callID))
	return hex.EncodeToString(raw[:])
}

// readCookie takes a cookie that the proxy made for this Call-ID.
func (k *keyring) readCookie(text, callID string, t *peers) (cookie, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != cookieBytes+cookieMAC {
		return cookie{}, false
	}
	if !hmac.Equal(raw[cookieBytes:], k.hash("cookie", string(raw[:cookieBytes]), callID)[:cookieMAC]) {
		return cookie{}, false
	}
	c := cookie{a: t.byID[binary.BigEndian.Uint32(raw)], b: t.byID[binary.BigEndian.Uint32(raw[4:])], leg: leg(raw[8:cookieBytes])}
	return c, c.a != nil && c.b != nil
}

// toTag is the tag of the proxy's own responses: always the same for a request, so
// that its ACK is known even where no transaction was kept.
func (k *keyring) toTag(m *wire.Message) string {
	return hex.EncodeToString(k.hash("tag", m.CallID, m.From.Tag, number(m.Sequence))[:8])
}

// correlation names a call of one Task on X2 and X3. It survives a restart.
func (k *keyring) correlation(xid li.XID, parts ...string) uint64 {
	h := k.hash("correlation", append([]string{string(xid[:])}, parts...)...)
	return max(binary.BigEndian.Uint64(h), 1)
}

func number(n uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return string(b[:])
}
