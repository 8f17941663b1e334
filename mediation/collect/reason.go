package collect

import (
	"errors"
	"io"
	"net"
	"os"

	"github.com/ligate/ligate/li/x2x3"
)

// refusal is why a PDU is not taken.
type refusal string

const (
	foreignTask    refusal = "foreign_task"    // the element was not given the Task
	foreignElement refusal = "foreign_element" // it names another network element
	wrongKind      refusal = "kind"            // X2 or X3 that is not expected of the element or on the port
	wrongFormat    refusal = "format"          // a payload that mediation cannot deliver
	wrongPayload   refusal = "payload"         // a payload that is not what its format says
	wrongClock     refusal = "clock"           // a time that cannot be
)

func reasons() []refusal {
	return []refusal{foreignTask, foreignElement, wrongKind, wrongFormat, wrongPayload, wrongClock}
}

// end is why a connection is over.
type end string

const (
	endClosed      end = "closed"      // by the element, between two PDUs
	endBroken      end = "broken"      // by the network
	endTruncated   end = "truncated"   // in the middle of a PDU
	endStopped     end = "stopped"     // by us
	endHandshake   end = "handshake"   // no TLS, too old, or too slow
	endCertificate end = "certificate" // of no element, none, or not valid now
	endTooMany     end = "too_many"    // connections of the element
	endBusy        end = "busy"        // handshakes of others
	endVersion     end = "version"     // garbage most often
	endType        end = "type"
	endLength      end = "length"
	endAttribute   end = "attribute"
	endKeepalive   end = "keepalive" // one that is malformed, or an answer that nobody asked for
	endSilent      end = "silent"    // no keep-alive for Config.Silence
	endUnread      end = "unread"    // the element does not read our answers
)

func ends() []end {
	return []end{
		endClosed, endBroken, endTruncated, endStopped, endHandshake, endCertificate, endTooMany, endBusy,
		endVersion, endType, endLength, endAttribute, endKeepalive, endSilent, endUnread,
	}
}

// ordinary reports whether connections end so where nothing is wrong. That is not
// logged: some elements connect only when they have a Task.
func (e end) ordinary() bool { return e == endClosed || e == endBroken || e == endStopped }

// protocol reports whether the element sent what is no X2 or X3.
func (e end) protocol() bool {
	switch e {
	case endVersion, endType, endLength, endAttribute, endKeepalive:
		return true
	case endClosed, endBroken, endTruncated, endStopped, endHandshake, endCertificate, endTooMany, endBusy, endSilent, endUnread:
	}
	return false
}

// endOf names a reader's error. partial says that it came in the middle of a PDU.
func endOf(err error, partial bool) end {
	switch {
	case errors.Is(err, x2x3.ErrVersion):
		return endVersion
	case errors.Is(err, x2x3.ErrType):
		return endType
	case errors.Is(err, x2x3.ErrLength):
		return endLength
	case errors.Is(err, x2x3.ErrAttr):
		return endAttribute
	case partial:
		return endTruncated
	case errors.Is(err, io.EOF):
		return endClosed
	}
	return endBroken
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
