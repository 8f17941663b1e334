package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The documents name tests as evidence. Each must exist.
func TestDocumentsNameRealTests(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	have := testsIn(t, root)
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, doc := range append(docs, filepath.Join(root, "ARCHITECTURE.md"), filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		names, missing := missingTests(string(text), have)
		named += names
		for _, m := range missing {
			t.Errorf("%s names %s, which does not exist", doc, m)
		}
	}
	if named < 50 {
		t.Errorf("%d tests are named: the documents are not read", named)
	}
	if _, missing := missingTests("shown by TestNothingOfThatName.", have); len(missing) != 1 {
		t.Error("a test that does not exist goes unnoticed")
	}
}

// missingTests counts the tests that a text names, and lists those that do not exist.
func missingTests(text string, have map[string]bool) (names int, missing []string) {
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(text, -1) {
		names++
		if !have[name] {
			missing = append(missing, name)
		}
	}
	return names, missing
}

func testsIn(t *testing.T, root string) map[string]bool {
	t.Helper()
	have := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test[A-Z]\w+)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			have[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}
