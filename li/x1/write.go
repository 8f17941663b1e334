package x1

import (
	"bytes"
	"encoding/xml"
	"strconv"
)

// writer writes elements; text is escaped, names are constants of ours.
type writer struct{ buf bytes.Buffer }

const xmlDeclaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// document writes the declaration and the root element around body.
func (w *writer) document(root string, body func()) []byte {
	w.buf.WriteString(xmlDeclaration)
	w.buf.WriteString("<" + root + ` xmlns="` + nsX1 + `" xmlns:xsi="` + nsXSI + `">`)
	body()
	w.buf.WriteString("</" + root + ">\n")
	return w.buf.Bytes()
}

// typed writes an element with an xsi:type.
func (w *writer) typed(name, typ string, body func()) {
	w.buf.WriteString("<" + name + ` xsi:type="` + typ + `">`)
	body()
	w.buf.WriteString("</" + name + ">")
}

func (w *writer) el(name string, body func()) {
	w.buf.WriteString("<" + name + ">")
	body()
	w.buf.WriteString("</" + name + ">")
}

func (w *writer) empty(name string) { w.buf.WriteString("<" + name + "/>") }

func (w *writer) text(name, value string) {
	w.buf.WriteString("<" + name + ">")
	_ = xml.EscapeText(&w.buf, []byte(value)) // a bytes.Buffer takes all
	w.buf.WriteString("</" + name + ">")
}

func (w *writer) number(name string, n int) { w.text(name, strconv.Itoa(n)) }
