package hi1

import (
	"encoding/xml"
	"strings"
)

// The namespaces of a message.
const (
	nsCore          = "http://uri.etsi.org/03120/common/2019/10/Core"
	nsCommon        = "http://uri.etsi.org/03120/common/2016/02/Common"
	nsAuthorisation = "http://uri.etsi.org/03120/common/2020/09/Authorisation"
	nsDocument      = "http://uri.etsi.org/03120/common/2020/09/Document"
	nsNotification  = "http://uri.etsi.org/03120/common/2016/02/Notification"
	nsTask          = "http://uri.etsi.org/03120/common/2020/09/Task"
	nsETSI          = "http://uri.etsi.org/03280/common/2017/07"
	nsXSI           = "http://www.w3.org/2001/XMLSchema-instance"
)

// prefixed lists the namespaces that stand behind a prefix when we write; core is
// the default.
func prefixed() [][2]string {
	return [][2]string{
		{"xsi", nsXSI},
		{"common", nsCommon},
		{"auth", nsAuthorisation},
		{"doc", nsDocument},
		{"notif", nsNotification},
		{"task", nsTask},
		{"etsi", nsETSI},
	}
}

// Limits of what is read and written.
const (
	MaxMessageBytes = 8 << 20 // a scanned order and its base64 fit
	maxDepth        = 16
	maxNodes        = 20000
	maxItems        = 256 // repetitions of one element
)

// form is how a value stands in a document.
type form uint8

const (
	formText   form = iota // XML text, or a JSON string
	formNumber             // a JSON number
	formBool               // true or false in JSON
	formObject             // with children
)

// node is one element or member.
type node struct {
	name xml.Name
	typ  xml.Name // resolved xsi:type; zero = none
	form form
	item bool // in JSON, one of an array
	kids []*node
	text string
	at   int64 // octets read when it began
}

func blank(s string) bool { return trim(s) == "" }

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// tree bounds what a parser builds.
type tree struct{ nodes int }

func (t *tree) grow(depth int) bool {
	t.nodes++
	return t.nodes <= maxNodes && depth < maxDepth
}
