// Archcheck holds the code against the import directions and size limits that
// ARCHITECTURE.md promises. It prints each breach and exits 1 if there is one.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/ligate/ligate/"

// may lists, for each package tree of ours, which other trees of ours it may
// import. The longest matching prefix decides; a tree may always import itself.
func may() map[string][]string {
	return map[string][]string{
		"li":                         {},
		"audit":                      {},
		"migrations":                 {},
		"bus":                        {"li"},
		"warrant":                    {"audit", "li"},
		"intercept":                  {"li", "bus"},
		"mediation":                  {"li", "bus", "warrant", "audit"},
		"mediation/evidence/segment": {"li"},
		"mediation/evidence/open":    {"li", "mediation/evidence/segment"},
		"mediation/etsi":             {"li"},
		"api":                        {"warrant", "mediation/evidence", "audit", "li", "migrations"},
	}
}

// doors lists the only trees that may import an engine, tests aside.
func doors() map[string][]string {
	return map[string][]string{
		"github.com/emiago/sipgo":   {"intercept/sipproxy", "internal/demo"},
		"github.com/nats-io/":       {"bus", "internal/natstest"},
		"github.com/jackc/pgx/":     {"warrant/pgstore", "audit", "mediation/evidence", "migrations", "internal/devpg", "internal/pgtest", "internal/crowd", "cmd/ligate"},
		"github.com/go-chi/chi/":    {"api", "cmd/ligate"},
		"filippo.io/age":            {"mediation/evidence", "warrant", "internal/agency"},
		"github.com/digitorus/":     {"mediation/evidence/attest", "mediation/evidence/bundle"},
		"github.com/alecthomas/":    {"cmd/ligate"},
		"github.com/danielgtaylor/": {"api"},
		"github.com/go-webauthn/":   {"api/auth/passkey", "api/auth/approval"},
		"github.com/coreos/go-oidc": {"api/auth/oidc"},
		"github.com/pion/srtp/":     {"intercept/sdes"},
		"github.com/miekg/dns":      {"intercept/sipproxy/locate"},
	}
}

const (
	maxFileLines = 600
	maxFuncLines = 80
)

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func main() {
	breaches, err := check()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, b := range breaches {
		fmt.Fprintln(os.Stderr, b)
	}
	if len(breaches) > 0 {
		os.Exit(1)
	}
}

func check() ([]string, error) {
	pkgs, err := list()
	if err != nil {
		return nil, err
	}
	var breaches []string
	for _, p := range pkgs {
		rel := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			if b := breach(rel, imp); b != "" {
				breaches = append(breaches, b)
			}
		}
		for _, file := range p.GoFiles {
			more, err := sizes(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			breaches = append(breaches, more...)
		}
	}
	return breaches, nil
}

func list() ([]pkg, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("read package list: %w", err)
		}
		pkgs = append(pkgs, p)
	}
}

func breach(from, imp string) string {
	if to, ours := strings.CutPrefix(imp, module); ours {
		rule, ok := longest(from, may())
		if !ok || under(to, rule) || anyUnder(to, may()[rule]) {
			return ""
		}
		return fmt.Sprintf("%s must not import %s (ARCHITECTURE.md, imports)", from, to)
	}
	for engine, trees := range doors() {
		if strings.HasPrefix(imp, engine) && !anyUnder(from, trees) {
			return fmt.Sprintf("%s must not import %s: it belongs to %s", from, imp, strings.Join(trees, ", "))
		}
	}
	return ""
}

func longest(path string, rules map[string][]string) (string, bool) {
	best, found := "", false
	for rule := range rules {
		if under(path, rule) && len(rule) >= len(best) {
			best, found = rule, true
		}
	}
	return best, found
}

func under(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }

func anyUnder(path string, trees []string) bool {
	for _, t := range trees {
		if under(path, t) {
			return true
		}
	}
	return false
}

func sizes(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		lines++
	}
	var breaches []string
	if lines > maxFileLines {
		breaches = append(breaches, fmt.Sprintf("%s: %d lines, at most %d", file, lines, maxFileLines))
	}
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range tree.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > maxFuncLines {
			breaches = append(breaches, fmt.Sprintf("%s: %s has %d lines, at most %d", file, fn.Name.Name, n, maxFuncLines))
		}
	}
	return breaches, nil
}
