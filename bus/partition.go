package bus

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"github.com/ligate/ligate/li"
	"github.com/ligate/ligate/li/x2x3"
)

// Partitions is how many parts the stream's calls fall into. Each part is consumed
// by one mediation at a time. It is a constant of the stored format.
const Partitions = 16

// Batch is one message's PDUs a partition; an empty slot is none.
type Batch [Partitions][]byte

// Partition is the part that a call's PDUs belong to, the same for ever and for
// every process. The correlation is the PDUs'.
func Partition(xid li.XID, correlation uint64) int {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(xid[:], correlation))
	return int(sum[0]) % Partitions
}

const (
	subjectRoot = "li."
	subjectX2   = ".x2"
	subjectX3   = ".x3"
)

// subject is where a kind of a partition's PDUs travels; empty for other kinds.
func subject(kind x2x3.Type, partition int) string {
	switch kind {
	case x2x3.X2:
		return subjectRoot + strconv.Itoa(partition) + subjectX2
	case x2x3.X3:
		return subjectRoot + strconv.Itoa(partition) + subjectX3
	case x2x3.Keepalive, x2x3.KeepaliveAck:
	}
	return ""
}

// kindOf reads the kind off a subject.
func kindOf(subject string) x2x3.Type {
	switch subject[max(0, len(subject)-len(subjectX2)):] {
	case subjectX2:
		return x2x3.X2
	case subjectX3:
		return x2x3.X3
	}
	return 0
}

// allSubjects are those of every partition and kind.
const allSubjects = subjectRoot + "*.*"

// subjectsOf are those of one partition.
func subjectsOf(partition int) string { return subjectRoot + strconv.Itoa(partition) + ".*" }

func consumerOf(partition int) string { return "mdf-" + strconv.Itoa(partition) }
