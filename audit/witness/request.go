package witness

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	maxBody  = 64 << 10
	maxProof = 63
	hashText = 44                 // octets of a hash in base64
	sizeType = "text/x.tlog.size" // content type of the size that a witness knows
)

// request is the body of add-checkpoint:
//
//	old SIZE
//	base64 hash          ┐ at most 63
//	…                    ┘
//	(empty line)
//	checkpoint, a signed note
type request struct {
	old        int64
	proof      []tlog.Hash
	checkpoint []byte
}

func parseRequest(b []byte) (request, error) {
	var r request
	top, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return request{}, ErrRequest
	}
	lines := strings.Split(string(top), "\n")
	size, ok := strings.CutPrefix(lines[0], "old ")
	if r.old, ok = parseSize(size, ok); !ok || len(lines)-1 > maxProof {
		return request{}, ErrRequest
	}
	for _, l := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(l) // which skips line ends: hence the length
		if err != nil || len(h) != tlog.HashSize || len(l) != hashText {
			return request{}, ErrRequest
		}
		r.proof = append(r.proof, tlog.Hash(h))
	}
	r.checkpoint = checkpoint
	return r, nil
}

func (r request) encode() []byte {
	var b bytes.Buffer
	b.WriteString("old " + strconv.FormatInt(r.old, 10) + "\n")
	for _, h := range r.proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteByte('\n')
	b.Write(r.checkpoint)
	return b.Bytes()
}

// parseSize reads a decimal without leading zeros.
func parseSize(s string, ok bool) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, ok && err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}
