package form

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"

	"github.com/ligate/ligate/warrant/review"
)

// QuarterlyReview is the result of holding log entries against the orders (TKÜV
// § 17). Entries are named by their numbers on the log: no identifier stands here.
type QuarterlyReview struct {
	Operator   string     `json:"operator"`
	Quarter    string     `json:"quarter"`    // 2026-Q3
	Population int        `json:"population"` // entries of the quarter
	Permille   int        `json:"share_permille"`
	Size       int64      `json:"checkpoint_size"` // of the checkpoint that the seed comes from
	Root       string     `json:"checkpoint_root"` // base64, as in the checkpoint
	Seed       string     `json:"seed"`            // hexadecimal
	Entries    []Reviewed `json:"entries"`
	Reviewer   string     `json:"reviewer"`
	ReviewedAt time.Time  `json:"reviewed_at"`
	Zone       string     `json:"zone"`
}

// Reviewed is one entry that was checked.
type Reviewed struct {
	Entry   string `json:"entry"` // its number on the log
	Result  string `json:"result"`
	Finding string `json:"finding,omitempty"` // required unless it agrees
}

// Results of a check.
const (
	Agrees  = "agrees"
	Differs = "differs"
)

// Name is the name that profiles list.
func (QuarterlyReview) Name() string { return "quarterly_review" }

// Validate names every mandatory field that is missing.
func (q QuarterlyReview) Validate() error {
	var m missing
	m.text(q.Operator, "operator")
	m.want(regexp.MustCompile(`^[0-9]{4}-Q[1-4]$`).MatchString(q.Quarter), "quarter (such as 2026-Q3)")
	m.want(q.Population >= 0, "population")
	m.want(q.Permille > 0 && q.Permille <= 1000, "share_permille (1 to 1000)")
	m.want(q.Size > 0, "checkpoint_size")
	m.want(len(q.root()) == sha256.Size, "checkpoint_root (base64 of 32 octets)")
	m.want(q.Seed != "" && q.Seed == q.seed(), "seed (of this quarter and checkpoint, 64 hexadecimal digits)")
	m.want(len(q.Entries)*1000 >= q.Population*q.Permille, "entries (fewer than the share)")
	seen := map[string]bool{}
	for _, e := range q.Entries {
		m.want(regexp.MustCompile(`^[0-9]{1,19}$`).MatchString(e.Entry) && !seen[e.Entry], "entries.entry (numbers on the log, each once)")
		m.want(e.Result == Agrees || e.Result == Differs, "entries.result (agrees or differs)")
		m.want(e.Result != Differs || e.Finding != "", "entries.finding (what differs)")
		seen[e.Entry] = true
	}
	m.text(q.Reviewer, "reviewer")
	m.time(q.ReviewedAt, "reviewed_at")
	m.zone(q.Zone)
	return m.err(q)
}

func (q QuarterlyReview) root() []byte {
	root, err := base64.StdEncoding.DecodeString(q.Root)
	if err != nil {
		return nil
	}
	return root
}

// seed is what the seed must be; empty where quarter or root are none.
func (q QuarterlyReview) seed() string {
	quarter, err := review.ParseQuarter(q.Quarter)
	if root := q.root(); err == nil && len(root) == sha256.Size {
		sum := review.Seed(quarter, q.Size, [sha256.Size]byte(root))
		return hex.EncodeToString(sum[:])
	}
	return ""
}

func (q QuarterlyReview) page() page {
	var entries []Row
	differ := 0
	for _, e := range q.Entries {
		lines := []string{e.Result}
		if e.Result == Differs {
			differ++
			lines = append(lines, e.Finding)
		}
		entries = append(entries, row("Entry "+e.Entry, lines...))
	}
	return page{
		title: "Quarterly review of the log", basis: "TKÜV § 17",
		statement: "I held these entries against the orders.",
		sections: []Section{
			{Heading: "Sample", Rows: []Row{
				row("Operator", q.Operator), row("Quarter", q.Quarter), row("Entries of the quarter", fmt.Sprint(q.Population)),
				row("Share", fmt.Sprintf("at least %d.%d %%", q.Permille/10, q.Permille%10)), row("Checkpoint", fmt.Sprint(q.Size), q.Root), row("Seed", q.Seed),
			}},
			{Heading: "Result", Rows: []Row{
				row("Checked", fmt.Sprint(len(q.Entries))), row("Differ", fmt.Sprint(differ)), row("Reviewer", q.Reviewer),
				row("Reviewed", moment(q.ReviewedAt, q.Zone)),
			}},
			{Heading: "Entries", Rows: entries},
		},
	}
}
