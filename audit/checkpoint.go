package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrCheckpoint says that a checkpoint is malformed or signed by somebody else.
var ErrCheckpoint = errors.New("audit: checkpoint is malformed or not signed by the log's key")

// checkpointText is the body of a C2SP tlog-checkpoint: origin, size, root.
func checkpointText(origin string, size int64, root tlog.Hash) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))
}

// OpenCheckpoint checks a checkpoint's signature against the log's verifier key
// and returns the size and root that it signs.
func OpenCheckpoint(signed []byte, verifier note.Verifier) (size int64, root tlog.Hash, err error) {
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return 0, root, ErrCheckpoint
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return 0, root, ErrCheckpoint
	}
	size, err = strconv.ParseInt(lines[1], 10, 64)
	b, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || err2 != nil || size < 0 || len(b) != tlog.HashSize {
		return 0, root, ErrCheckpoint
	}
	return size, tlog.Hash(b), nil
}
