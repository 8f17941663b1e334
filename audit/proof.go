package audit

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// InclusionProof proves that the entry is in the tree of that size.
func (l *Log) InclusionProof(ctx context.Context, db querier, index, treeSize int64) ([]tlog.Hash, error) {
	h, err := readHead(ctx, db)
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= treeSize || treeSize > h.size {
		return nil, ErrRange
	}
	proof, err := tlog.ProveRecord(treeSize, index, hashReader{ctx, db})
	if err != nil {
		return nil, fmt.Errorf("audit: prove inclusion: %w", err)
	}
	return proof, nil
}

// ConsistencyProof proves that the newer tree begins with the older one.
func (l *Log) ConsistencyProof(ctx context.Context, db querier, older, newer int64) ([]tlog.Hash, error) {
	h, err := readHead(ctx, db)
	if err != nil {
		return nil, err
	}
	if older < 1 || older > newer || newer > h.size {
		return nil, ErrRange
	}
	proof, err := tlog.ProveTree(newer, older, hashReader{ctx, db})
	if err != nil {
		return nil, fmt.Errorf("audit: prove consistency: %w", err)
	}
	return proof, nil
}
