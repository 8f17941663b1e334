package api_test

import (
	"encoding/base64"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/ligate/ligate/audit"
)

// overHTTP reads tiles over the API.
type overHTTP struct{ o *office }

func (h overHTTP) Height() int { return 8 }

func (h overHTTP) ReadTiles(all []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range all {
		a := h.o.do("aud", "GET", "/audit/v1/log/tile/"+tile.Path()[len("tile/8/"):], "")
		if a.status != 200 {
			return nil, fmt.Errorf("%s: %d", tile.Path(), a.status)
		}
		out = append(out, a.body)
	}
	return out, nil
}

func (h overHTTP) SaveTiles([]tlog.Tile, [][]byte) {}

// A monitor reads the log by C2SP tlog-tiles, and an agency is told the same
// checkpoint with every answer.
func TestTilesAndCheckpointsOverTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.approved("L-1")
	o.want(o.do("aud", "GET", "/audit/v1/log/checkpoint", ""), 404)
	if told := o.want(o.do("ina", "GET", "/handover/v1/intercepts", ""), 200).header.Get("Ligate-Checkpoint"); told != "" {
		t.Errorf("a checkpoint before the first: %q", told)
	}
	o.want(o.do("aud", "GET", "/audit/v1/checkpoint", ""), 200)
	text := o.want(o.do("aud", "GET", "/audit/v1/log/checkpoint", ""), 200).body
	for _, path := range []string{"/handover/v1/intercepts", "/handover/v1/intercepts/L-1", "/handover/v1/intercepts/nobody"} {
		told, err := base64.StdEncoding.DecodeString(o.do("ina", "GET", path, "").header.Get("Ligate-Checkpoint"))
		if err != nil || string(told) != string(text) {
			t.Errorf("%s tells another checkpoint: %v", path, err)
		}
	}
	if told := o.do("bob", "GET", "/handover/v1/intercepts", "").header.Get("Ligate-Checkpoint"); told != "" {
		t.Error("who is no agency was told a checkpoint")
	}
	verifier, err := note.NewVerifier(o.verifier)
	o.must(err)
	size, root, err := audit.OpenCheckpoint(text, verifier)
	o.must(err)
	proof, err := tlog.ProveRecord(size, 0, tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, overHTTP{o}))
	o.must(err)
	bundle := o.want(o.do("aud", "GET", fmt.Sprintf("/audit/v1/log/tile/entries/000.p/%d", size), ""), 200).body
	if err := tlog.CheckRecord(proof, size, root, 0, tlog.RecordHash(bundle[2:34])); err != nil {
		t.Error(err)
	}
	o.want(o.do("aud", "GET", "/audit/v1/log/tile/0/999", ""), 404)
	o.want(o.do("ina", "GET", fmt.Sprintf("/handover/v1/log/consistency?from=1&to=%d", size), ""), 200)
	o.want(o.do("ina", "GET", "/handover/v1/log/consistency?from=1&to=99999", ""), 400)
}
