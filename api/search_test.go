package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Officers find warrants by a target, written as they like; the answer and the audit
// log name none.
func TestWarrantsByTarget(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id, _ := o.submitted("L-1")
	for written, want := range map[string]int{aTarget: 1, "030 555-001": 1, "tel:+4930555001": 1, "+4930555002": 0, "sip:+4930555001@example.com": 0} {
		a := o.do("bob", "GET", "/admin/v1/warrants?state=submitted&target="+url.QueryEscape(written), "")
		if a.status != http.StatusOK || strings.Count(string(a.body), id) != want || bytes.Contains(a.body, []byte(aTarget[1:])) {
			t.Errorf("%s: %d %s", written, a.status, a.body)
		}
	}
	if a := o.do("root1", "GET", "/admin/v1/warrants?target=%2B4930555001", ""); a.status != http.StatusForbidden {
		t.Errorf("a system administrator searches: %d", a.status)
	}
	for _, e := range o.entries("warrant.search") {
		if strings.Contains(fmt.Sprint(*e.Entry), "4930555") {
			t.Error("the audit log names what was searched")
		}
	}
	if n := len(o.entries("warrant.search")); n < 5 {
		t.Errorf("%d searches are on the log", n)
	}
}
