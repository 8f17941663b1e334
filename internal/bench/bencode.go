package bench

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strconv"
)

// errBencode says that octets are no bencoded value.
var errBencode = errors.New("bench: not bencode")

// maxDepth limits nesting in what a peer sends.
const maxDepth = 16

// appendBencode appends a string, int, []string or map[string]any, keys sorted.
func appendBencode(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		dst = append(strconv.AppendInt(dst, int64(len(v)), 10), ':')
		return append(dst, v...), nil
	case int:
		dst = strconv.AppendInt(append(dst, 'i'), int64(v), 10)
		return append(dst, 'e'), nil
	case []string:
		dst = append(dst, 'l')
		for _, s := range v {
			dst, _ = appendBencode(dst, s) // a string always fits
		}
		return append(dst, 'e'), nil
	case map[string]any:
		dst = append(dst, 'd')
		for _, k := range slices.Sorted(maps.Keys(v)) {
			dst, _ = appendBencode(dst, k)
			var err error
			if dst, err = appendBencode(dst, v[k]); err != nil {
				return nil, err
			}
		}
		return append(dst, 'e'), nil
	}
	return nil, errBencode
}

// decodeBencode reads one value, which must be all of b: a string, int, []any or
// map[string]any.
func decodeBencode(b []byte) (any, error) {
	v, rest, err := bencodeValue(b, 0)
	if err != nil || len(rest) > 0 {
		return nil, errBencode
	}
	return v, nil
}

func bencodeValue(b []byte, depth int) (v any, rest []byte, err error) {
	if len(b) == 0 || depth > maxDepth {
		return nil, nil, errBencode
	}
	switch b[0] {
	case 'i':
		digits, rest, ok := bytes.Cut(b[1:], []byte("e"))
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil {
			return nil, nil, errBencode
		}
		return n, rest, nil
	case 'l':
		return bencodeList(b[1:], depth)
	case 'd':
		return bencodeDict(b[1:], depth)
	}
	digits, rest, ok := bytes.Cut(b, []byte(":"))
	n, err := strconv.ParseUint(string(digits), 10, 31)
	if !ok || err != nil || n > uint64(len(rest)) {
		return nil, nil, errBencode
	}
	return string(rest[:n]), rest[n:], nil
}

func bencodeList(b []byte, depth int) (any, []byte, error) {
	list := []any{}
	for len(b) > 0 && b[0] != 'e' {
		v, rest, err := bencodeValue(b, depth+1)
		if err != nil {
			return nil, nil, err
		}
		list, b = append(list, v), rest
	}
	if len(b) == 0 {
		return nil, nil, errBencode
	}
	return list, b[1:], nil
}

func bencodeDict(b []byte, depth int) (any, []byte, error) {
	dict := map[string]any{}
	for len(b) > 0 && b[0] != 'e' {
		k, rest, err := bencodeValue(b, depth+1)
		key, ok := k.(string)
		if err != nil || !ok {
			return nil, nil, errBencode
		}
		if dict[key], b, err = bencodeValue(rest, depth+1); err != nil {
			return nil, nil, err
		}
	}
	if len(b) == 0 {
		return nil, nil, errBencode
	}
	return dict, b[1:], nil
}
