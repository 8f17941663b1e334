package main

import (
	"context"
	"strconv"
	"strings"
	"time"
)

type warrantIntervalsCmd struct {
	apiFlags
	jsonFlag
	ID string `arg:""`
}

// Run shows when the tap was allowed.
func (c *warrantIntervalsCmd) Run(ctx context.Context, s streams) error {
	type interval struct {
		Began time.Time
		Ended *time.Time
	}
	return list(ctx, s, c.apiFlags, c.jsonFlag, warrantPath(c.ID, "tap-intervals"), "BEGAN\tENDED", func(i interval) string {
		return stamp(i.Began) + "\t" + stampOr(i.Ended, "runs")
	})
}

// stampOr shows a time, or what its lack means.
func stampOr(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return stamp(*t)
}

type warrantReceiptsCmd struct {
	apiFlags
	jsonFlag
	ID string `arg:""`
}

// Run shows what the agency confirmed to have.
func (c *warrantReceiptsCmd) Run(ctx context.Context, s streams) error {
	type receipt struct {
		CIN       uint32
		ChainHead string `json:"chain_head"`
		Segments  int
		Person    string
		At        time.Time
	}
	return list(ctx, s, c.apiFlags, c.jsonFlag, warrantPath(c.ID, "receipts"), "TIME\tCIN\tSEGMENTS\tPERSON\tCHAIN HEAD", func(r receipt) string {
		return strings.Join([]string{stamp(r.At), strconv.FormatUint(uint64(r.CIN), 10), strconv.Itoa(r.Segments), r.Person, r.ChainHead}, "\t")
	})
}

type warrantRetentionCmd struct {
	apiFlags
	jsonFlag
	ID string `arg:""`
}

// Run shows how long each kind of record is kept.
func (c *warrantRetentionCmd) Run(ctx context.Context, s streams) error {
	type kept struct {
		Kind, Rule, For, After, Duty string
		End                          *time.Time
	}
	const head = "RECORD\tRULE\tFOR\tAFTER\tDUTY OF\tEND, FROM THE TAP'S"
	return list(ctx, s, c.apiFlags, c.jsonFlag, warrantPath(c.ID, "retention"), head, func(k kept) string {
		return strings.Join([]string{k.Kind, k.Rule, k.For, k.After, k.Duty, stampOr(k.End, "-")}, "\t")
	})
}
