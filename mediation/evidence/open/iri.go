package open

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/ligate/ligate/mediation/evidence/segment"
)

// writeIRI writes one JSON object a line, in the order of record numbers.
func writeIRI(w io.Writer, iri []segment.IRIRecord) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for _, r := range iri {
		if err := e.Encode(r); err != nil {
			return fmt.Errorf("write iri.jsonl: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write iri.jsonl: %w", err)
	}
	return nil
}
