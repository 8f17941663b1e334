package main

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// fault is one thing wrong with a config file.
type fault struct {
	Line int
	Text string // names the key and the rule, never the value
}

// configError holds every fault of a file at once.
type configError struct {
	File   string
	Faults []fault
}

func (e *configError) Error() string {
	slices.SortStableFunc(e.Faults, func(a, b fault) int { return cmp.Compare(a.Line, b.Line) })
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = fmt.Sprintf("%s:%d: %s", e.File, f.Line, f.Text)
	}
	return strings.Join(lines, "\n")
}

// decoder walks the YAML tree beside the struct, so that each fault has its line
// and none hides the next.
type decoder struct {
	faults []fault
	lines  map[string]int // key path to line, for the checks of meaning
}

// decodeConfig reads YAML into a config. The decoder it returns holds the faults
// of form; checkConfig adds those of meaning.
func decodeConfig(text []byte) (*config, *decoder) {
	d := &decoder{lines: map[string]int{}}
	cfg := &config{}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		d.faults = append(d.faults, fault{Line: yamlErrorLine(err), Text: "not YAML: check indentation, colons and quotes here"})
		return cfg, d
	}
	switch {
	case len(file.Docs) > 1:
		d.faults = append(d.faults, fault{Line: file.Docs[1].GetToken().Position.Line, Text: "want one YAML document"})
	case len(file.Docs) == 1 && file.Docs[0].Body != nil:
		d.walk(file.Docs[0].Body, reflect.ValueOf(cfg).Elem(), "")
	}
	return cfg, d
}

func yamlErrorLine(err error) int {
	// The library's errors begin with "[line:column]".
	text, ok := strings.CutPrefix(err.Error(), "[")
	if !ok {
		return 1
	}
	line, _, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(line)
	if err != nil {
		return 1
	}
	return n
}

func (d *decoder) fail(line int, path, text string) {
	d.faults = append(d.faults, fault{Line: line, Text: path + ": " + text})
}

func lineOf(n ast.Node) int {
	if n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

func (d *decoder) walk(n ast.Node, v reflect.Value, path string) {
	d.lines[path] = lineOf(n)
	if n.Type() == ast.NullType {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.walkStruct(n, v, path)
	case reflect.Slice:
		d.walkSlice(n, v, path)
	case reflect.Map:
		d.walkMap(n, v, path)
	case reflect.Pointer: // a value whose zero is not its default
		v.Set(reflect.New(v.Type().Elem()))
		d.walk(n, v.Elem(), path)
	default:
		if text := scalar(n, v); text != "" {
			d.fail(lineOf(n), path, text)
		}
	}
}

// mapping returns the keys and values of a node, or reports that it has none.
func (d *decoder) mapping(n ast.Node, path string) []*ast.MappingValueNode {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}
	}
	d.fail(lineOf(n), path, "want a mapping of keys to values")
	return nil
}

// walkMap reads keys that the file chooses.
func (d *decoder) walkMap(n ast.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, kv := range d.mapping(n, path) {
		key := reflect.ValueOf(kv.Key.GetToken().Value)
		at := join(path, key.String())
		if v.MapIndex(key).IsValid() {
			d.fail(lineOf(kv.Key), at, "stands here twice")
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.walk(kv.Value, value, at)
		v.SetMapIndex(key, value)
	}
}

func (d *decoder) walkStruct(n ast.Node, v reflect.Value, path string) {
	values := d.mapping(n, path)
	seen := map[string]bool{}
	for _, kv := range values {
		key := kv.Key.GetToken().Value
		at := join(path, key)
		field, ok := fieldOf(v, key)
		switch {
		case !ok:
			d.fail(lineOf(kv.Key), at, "unknown key"+hint(v))
		case seen[key]:
			d.fail(lineOf(kv.Key), at, "stands here twice")
		default:
			d.walk(kv.Value, field, at)
			d.lines[at] = lineOf(kv.Key)
		}
		seen[key] = true
	}
}

func (d *decoder) walkSlice(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(lineOf(n), path, "want a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, item := range seq.Values {
		d.walk(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

// scalar sets v from the node or says what was wanted.
func scalar(n ast.Node, v reflect.Value) string {
	if _, ok := n.(ast.ScalarNode); !ok {
		return "want a single value"
	}
	text := n.GetToken().Value
	if lit, ok := n.(*ast.LiteralNode); ok {
		text = lit.Value.Value
	}
	if v.Type() == reflect.TypeFor[duration]() {
		dur, err := time.ParseDuration(text)
		if err != nil {
			return "want a duration such as 4s or 1m30s"
		}
		v.SetInt(int64(dur))
		return ""
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return "want true or false"
		}
		v.SetBool(b)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return "want a number"
		}
		v.SetFloat(f)
	default:
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "want a whole number"
		}
		v.SetInt(i)
	}
	return ""
}

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// hint names the keys that may stand there.
func hint(v reflect.Value) string {
	keys := make([]string, v.NumField())
	for i := range keys {
		keys[i] = v.Type().Field(i).Tag.Get("yaml")
	}
	return "; want one of " + strings.Join(keys, ", ")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
