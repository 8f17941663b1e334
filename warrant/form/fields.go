package form

import (
	"reflect"
	"strings"
)

// Fields lists the JSON names of a form's fields; nil for a form that does not exist.
func Fields(name string) []string {
	for _, f := range []Form{CALEACertificate{}, Incident{}, OutageNotice{}, QuarterlyReview{}, RecoveryNotice{}} {
		if f.Name() == name {
			return jsonNames(reflect.TypeOf(f))
		}
	}
	return nil
}

func jsonNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}
