package profile

import (
	"cmp"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Fault is one thing wrong with a profile's file.
type Fault struct {
	Line int
	Text string // names the key and the rule, never the value
}

// FileError holds every fault of a file at once.
type FileError struct{ Faults []Fault }

func (e *FileError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = fmt.Sprintf("line %d: %s", f.Line, f.Text)
	}
	return strings.Join(lines, "\n")
}

// decoder walks the YAML tree beside the struct, so that each fault has its line
// and none hides the next.
type decoder struct {
	faults []Fault
	failed map[string]bool // key paths that have their fault already
	lines  map[string]int  // key path to line, for the checks of meaning
}

func (d *decoder) err() error {
	if len(d.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(d.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return &FileError{Faults: d.faults}
}

// fail notes a fault of the key at path, or, where the file lacks it, at the nearest
// key above.
func (d *decoder) fail(path, text string) {
	if d.failed[path] {
		return
	}
	d.failed[path] = true
	line, at := 1, path
	for at != "" {
		if n, ok := d.lines[at]; ok {
			line = n
			break
		}
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	d.faults = append(d.faults, Fault{Line: line, Text: path + ": " + text})
}

// decode reads the file, or says false where it is no YAML document.
func (d *decoder) decode(text []byte, p *Profile) bool {
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	switch {
	case err != nil:
		d.faults = append(d.faults, Fault{Line: errorLine(err), Text: "not YAML: check indentation, colons and quotes here"})
	case len(file.Docs) != 1 || file.Docs[0].Body == nil:
		d.faults = append(d.faults, Fault{Line: 1, Text: "want one YAML document"})
	default:
		d.walk(file.Docs[0].Body, reflect.ValueOf(p).Elem(), "")
		return true
	}
	return false
}

// errorLine reads the line from the library's errors, which begin "[line:column]"
// and go on to quote the file.
func errorLine(err error) int {
	text, _ := strings.CutPrefix(err.Error(), "[")
	number, _, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 1
	}
	return n
}

func lineOf(n ast.Node) int {
	if n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

func (d *decoder) walk(n ast.Node, v reflect.Value, path string) {
	if path != "" {
		if _, known := d.lines[path]; !known {
			d.lines[path] = lineOf(n)
		}
	}
	_, isText := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case n.Type() == ast.NullType:
		return
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.walk(n, v.Elem(), path)
	case v.Kind() == reflect.Struct && !isText:
		d.walkStruct(n, v, path)
	case v.Kind() == reflect.Slice:
		d.walkSlice(n, v, path)
	default:
		if text := scalar(n, v); text != "" {
			d.fail(path, text)
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
	d.fail(path, "want a mapping of keys to values")
	return nil
}

func (d *decoder) walkStruct(n ast.Node, v reflect.Value, path string) {
	seen := map[string]bool{}
	for _, kv := range d.mapping(n, path) {
		key := kv.Key.GetToken().Value
		field, ok := fieldOf(v, key)
		switch {
		case !ok: // the key itself may be anything: it is not quoted
			d.faults = append(d.faults, Fault{
				Line: lineOf(kv.Key),
				Text: strings.TrimPrefix(path+": unknown key; want one of ", ": ") + strings.Join(keysOf(v), ", "),
			})
		case seen[key]:
			d.faults = append(d.faults, Fault{Line: lineOf(kv.Key), Text: join(path, key) + ": stands here twice"})
		default:
			d.lines[join(path, key)] = lineOf(kv.Key)
			d.walk(kv.Value, field, join(path, key))
		}
		seen[key] = true
	}
}

func (d *decoder) walkSlice(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(path, "want a list")
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
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return err.Error()
		}
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
	default: // the profile's only other kind is float64
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return "want a number"
		}
		v.SetFloat(f)
	}
	return ""
}

// fieldOf finds the field of a key; those of an inline struct count as v's own.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		switch tag := v.Type().Field(i).Tag.Get("yaml"); tag {
		case ",inline":
			if f, ok := fieldOf(v.Field(i), key); ok {
				return f, true
			}
		case "":
		case key:
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// keysOf names the keys that may stand there.
func keysOf(v reflect.Value) []string {
	var keys []string
	for i := range v.NumField() {
		switch tag := v.Type().Field(i).Tag.Get("yaml"); tag {
		case ",inline":
			keys = append(keys, keysOf(v.Field(i))...)
		case "":
		default:
			keys = append(keys, tag)
		}
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
