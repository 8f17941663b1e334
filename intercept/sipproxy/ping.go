package sipproxy

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// ping asks the places of one peer now and then whether they serve (RFC 3261 clause
// 11). One shard does it: its Call-ID leads there.
type ping struct {
	peer   *peer
	callID string
	tag    string
	number uint32
}

// missesToSilence is how many pings in a row stay unanswered before a place is
// called silent.
const missesToSilence = 2

// startPings gives each peer that is pinged to the shard of its Call-ID.
func (p *Proxy) startPings() {
	keys := newKeyring(p.cfg.Secret)
	for _, peer := range p.peers.all {
		if peer.Ping == 0 {
			continue
		}
		id := hex.EncodeToString(keys.hash("ping", peer.Name, time.Now().String()))
		callID := id[:32] + "@" + p.sockets[0].local.Addr().String()
		s := p.shardOf(callID)
		s.pings = append(s.pings, &ping{peer: peer, callID: callID, tag: id[32:48]})
	}
}

// ask sends one OPTIONS to each place of the peer, and again after the interval.
func (s *shard) ask(p *ping) {
	s.after(p.peer.Ping, func() { s.ask(p) })
	for _, at := range *p.peer.places.Load() {
		sock := s.proxy.socketFor(at.net, at.addr.Addr())
		if sock == nil {
			continue
		}
		p.number++
		hop := nextHop{peer: p.peer, place: at, flow: flow{sock: sock, remote: at.addr}}
		branch := s.keys.branch("ping\x00"+p.callID+"\x00"+strconv.Itoa(int(p.number)), 0, p.tag)
		c := s.newClientTx(nil, hop, branch, "OPTIONS", p.request(hop, branch))
		c.done = func(status int) { at.health.heard(status) }
		c.giveUp.stop()
		c.giveUp = s.after(min(p.peer.Ping, s.proxy.cfg.Timers.Hop), c.timedOut)
	}
}

func (p *ping) request(hop nextHop, branch string) []byte {
	local, far := hop.flow.sock.sentBy, hop.flow.remote.String()
	return fmt.Appendf(nil, "OPTIONS sip:%s SIP/2.0\r\nVia: %s;branch=%s\r\nMax-Forwards: 70\r\nFrom: <sip:%s>;tag=%s\r\nTo: <sip:%s>\r\n"+
		"Call-ID: %s\r\nCSeq: %d OPTIONS\r\nContact: <sip:%s>\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n",
		far, hop.flow.sock.via, branch, local, p.tag, far, p.callID, p.number, local)
}

// heard takes how a ping ended. Any answer but 503 shows that somebody is there.
func (h *health) heard(status int) {
	if status != 408 && status != 503 {
		h.missed.Store(0)
		h.silent.Store(false)
		return
	}
	if h.missed.Add(1) >= missesToSilence {
		h.silent.Store(true)
	}
}
