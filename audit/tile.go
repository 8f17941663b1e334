package audit

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is the height of C2SP tlog-tiles: 256 hashes a tile.
const tileHeight = 8

// Tile returns a resource of C2SP tlog-tiles by what follows "tile/" in its path:
// "L/N" or "L/N.p/W" for hashes, "entries/N" or "entries/N.p/W" for a bundle of
// entries. What the tree holds of an entry is its commitment, so that is what a bundle
// has: 32 octets each, which tell nothing of the record. ErrNotFound says that the
// tree has no such tile, or not of that width.
func (l *Log) Tile(ctx context.Context, db querier, path string) ([]byte, error) {
	rest, entries := strings.CutPrefix(path, "entries/")
	if entries {
		rest = "data/" + rest
	}
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", tileHeight, rest))
	if err != nil || entries != (t.L == -1) {
		return nil, ErrNotFound
	}
	h, err := readHead(ctx, db)
	if err != nil {
		return nil, err
	}
	level := max(t.L, 0)
	if level > 6 || t.N > h.size || (t.N<<tileHeight+int64(t.W)) > h.size>>(tileHeight*level) {
		return nil, ErrNotFound
	}
	if entries {
		return bundle(ctx, db, t.N<<tileHeight, t.W)
	}
	data, err := tlog.ReadTileData(t, hashReader{ctx, db})
	if err != nil {
		return nil, fmt.Errorf("audit: read tile: %w", err)
	}
	return data, nil
}

// bundle is W times a length (uint16) and a commitment.
func bundle(ctx context.Context, db querier, first int64, w int) ([]byte, error) {
	rows, err := db.Query(ctx, "select commitment from audit_entry where index >= $1 and index < $2 order by index", first, first+int64(w))
	if err != nil {
		return nil, fmt.Errorf("audit: read entries: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("audit: read entries: %w", err)
	}
	if len(all) != w {
		return nil, ErrDamaged
	}
	var b []byte
	for _, c := range all {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(c))), c...)
	}
	return b, nil
}
