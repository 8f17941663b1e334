package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	ngWait  = time.Second
	ngTries = 3
)

// ng speaks rtpengine's NG protocol: a cookie, a space and a bencoded dictionary in
// a datagram, answered under the same cookie. One goroutine.
type ng struct {
	conn *net.UDPConn
	next int
	buf  [64 << 10]byte
}

// do sends a command and returns the answer's dictionary. A repeated command is
// answered, not executed, again: the cookie is the same.
func (n *ng) do(command map[string]any) (map[string]any, error) {
	n.next++
	cookie := strconv.Itoa(n.next)
	out, err := appendBencode([]byte(cookie+" "), command)
	if err != nil {
		return nil, err
	}
	for range ngTries {
		if _, err := n.conn.Write(out); err != nil {
			return nil, fmt.Errorf("send %v: %w", command["command"], err)
		}
		answer, err := n.answer(cookie)
		if err == nil {
			return answer, ngResult(command, answer)
		}
		if !errors.Is(err, errNoAnswer) {
			return nil, err
		}
	}
	return nil, errNoAnswer
}

var errNoAnswer = errors.New("rtpengine does not answer")

// answer waits for the answer to a cookie and skips others.
func (n *ng) answer(cookie string) (map[string]any, error) {
	_ = n.conn.SetReadDeadline(time.Now().Add(ngWait))
	for {
		size, err := n.conn.Read(n.buf[:])
		if err != nil {
			return nil, errNoAnswer
		}
		c, body, _ := bytes.Cut(n.buf[:size], []byte(" "))
		if string(c) != cookie {
			continue
		}
		v, err := decodeBencode(body)
		dict, ok := v.(map[string]any)
		if err != nil || !ok {
			return nil, errBencode
		}
		return dict, nil
	}
}

func ngResult(command, answer map[string]any) error {
	switch answer["result"] {
	case "ok", "pong":
		return nil
	}
	return fmt.Errorf("rtpengine refused %v: %v", command["command"], answer["error-reason"])
}

// describe is a session description of one G.711 stream.
func describe(at netip.AddrPort) string {
	return describeHead(at.Addr()) + fmt.Sprintf("m=audio %d RTP/AVP 8\r\n", at.Port())
}

// describeSink takes as many streams as an offer has at one address.
func describeSink(at netip.AddrPort, streams int) string {
	m := fmt.Sprintf("m=audio %d RTP/AVP 8\r\na=recvonly\r\n", at.Port())
	return describeHead(at.Addr()) + strings.Repeat(m, streams)
}

func describeHead(host netip.Addr) string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n", host, host)
}

// mediaPort is the port of the first stream of a session description.
func mediaPort(sdp string) (uint16, error) {
	_, rest, _ := strings.Cut(sdp, "m=audio ")
	port, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("bench: no port in the session description")
	}
	return uint16(n), nil
}
