package problem_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ligate/ligate/api/problem"
	"github.com/ligate/ligate/warrant"
)

// Every sentinel that the domain can hand to the API has a row of its own, or is
// listed here as one that no caller can cause.
func TestEverySentinelIsInTheTable(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("table.go")
	if err != nil {
		t.Fatal(err)
	}
	internal := map[string]bool{
		"evidence.ErrConflict": true, "audit.ErrEntry": true, "audit.ErrCanonical": true, "audit.ErrCheckpoint": true, "audit.ErrUncommitted": true, "audit.ErrWitnessKey": true, "audit.ErrNotCosigned": true, "audit.ErrProof": true, "audit.ErrDamaged": true,
	}
	for pkg, dir := range map[string]string{"warrant": "../../warrant", "evidence": "../../mediation/evidence", "audit": "../../audit", "review": "../../audit/review"} {
		for _, name := range sentinels(t, dir) {
			full := pkg + "." + name
			if !strings.Contains(string(table), full+",") && !internal[full] {
				t.Errorf("%s has no row", full)
			}
		}
	}
}

// sentinels lists the exported Err… variables of a package.
func sentinels(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, s := range gen.Specs {
				for _, n := range s.(*ast.ValueSpec).Names {
					if strings.HasPrefix(n.Name, "Err") {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

func TestEveryRuleHasAStatus(t *testing.T) {
	t.Parallel()
	for _, r := range []warrant.Rule{
		warrant.RuleState, warrant.RuleFourEyes, warrant.RuleRetyped, warrant.RuleIncomplete, warrant.RuleDates, warrant.RuleTarget, warrant.RuleScope,
		warrant.RuleAgency, warrant.RuleReason, warrant.RuleNotEnrolled, warrant.RuleDelivery, warrant.RuleNarrow, warrant.RuleHold,
		warrant.RuleDocument, warrant.RuleProtected,
	} {
		var p *problem.Problem
		err := problem.From(fmt.Errorf("wrapped: %w", &warrant.RuleError{Rule: r, Reason: "why"}))
		if !errors.As(err, &p) || p.Status >= 500 || p.Rule != string(r) || p.Detail != "why" {
			t.Errorf("rule %s: %+v", r, err)
		}
	}
}

// What the table does not know is 500 and says nothing.
func TestUnknownErrorsSayNothing(t *testing.T) {
	t.Parallel()
	var p *problem.Problem
	if err := problem.From(errors.New("secret")); !errors.As(err, &p) || p.Status != http.StatusInternalServerError || p.Detail != "" {
		t.Errorf("%+v", p)
	}
	if problem.From(nil) != nil {
		t.Error("nil became a problem")
	}
}
