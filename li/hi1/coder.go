package hi1

import (
	"encoding/xml"
	"strconv"
)

// format says which document a tree comes from.
type format uint8

const (
	formatXML  format = iota // children stand in the schema's order
	formatJSON               // members stand in any order, values have their JSON type
)

// coder is one reading or writing of a message. After the first fault it does
// nothing more.
type coder struct {
	format format
	write  bool
	fault  *Fault
}

func (c *coder) fail(path string, at int64, reason string) {
	if c.fault == nil {
		c.fault = &Fault{Path: path, Offset: at, Reason: reason}
	}
}

// cursor is an element whose children are being read or written, those of one
// namespace. The functions that take one describe a type: they do both.
type cursor struct {
	*coder
	n    *node
	ns   string
	path string
}

// in is the same element for children of another namespace.
func (c *cursor) in(ns string) *cursor {
	return &cursor{coder: c.coder, n: c.n, ns: ns, path: c.path}
}

// bad refuses this element.
func (c *cursor) bad(reason string) { c.fail(c.path, c.n.at, reason) }

// take removes the next child of that name; nil if there is none.
func (c *cursor) take(name string) *node {
	if c.fault != nil {
		return nil
	}
	for i, kid := range c.n.kids {
		if kid.name == (xml.Name{Space: c.ns, Local: name}) {
			if i == 0 {
				c.n.kids = c.n.kids[1:]
			} else {
				c.n.kids = append(c.n.kids[:i:i], c.n.kids[i+1:]...)
			}
			return kid
		}
		if c.format == formatXML {
			return nil
		}
	}
	return nil
}

// add makes a child.
func (c *cursor) add(name string, f form) *node {
	kid := &node{name: xml.Name{Space: c.ns, Local: name}, form: f}
	c.n.kids = append(c.n.kids, kid)
	return kid
}

func (c *cursor) child(name string, n *node, ns string) *cursor {
	return &cursor{coder: c.coder, n: n, ns: ns, path: c.path + "/" + name}
}

// done refuses what is left over.
func (c *cursor) done() {
	if !c.write && c.fault == nil && len(c.n.kids) > 0 {
		c.fail(c.path, c.n.kids[0].at, "an element that is not known here, stands in the wrong place or stands too often")
	}
}

// refuse refuses an element of the schema that we do not honour.
func (c *cursor) refuse(name, why string) {
	if c.write {
		return
	}
	if n := c.take(name); n != nil {
		c.fail(c.path+"/"+name, n.at, why)
	}
}

// enter checks that n is an element with children, not one of an array unless so
// expected.
func (c *cursor) enter(item, typed bool) bool {
	switch {
	case c.fault != nil:
		return false
	case c.write:
		return true
	case c.n.typ.Local != "" && !typed:
		c.bad("xsi:type is not expected here")
	case c.format == formatJSON && c.n.item != item:
		c.bad("want an array where, and only where, the schema allows several")
	case c.format == formatJSON && c.n.form != formObject, c.format == formatXML && !blank(c.n.text):
		c.bad("want elements, not text")
	}
	return c.fault == nil
}

// part describes an element that is there or not, and reports which.
func (c *cursor) part(name, ns string, present bool, describe func(*cursor)) bool {
	var n *node
	switch {
	case c.write && present:
		n = c.add(name, formObject)
	case !c.write:
		n = c.take(name)
	}
	if n == nil {
		return false
	}
	kid := c.child(name, n, ns)
	if kid.enter(false, false) {
		describe(kid)
		kid.done()
	}
	return true
}

// must describes a required element of type T.
func must[T any](c *cursor, name, ns string, v *T, describe func(*cursor, *T)) {
	if !c.part(name, ns, true, func(kid *cursor) { describe(kid, v) }) && c.fault == nil {
		c.bad(name + " is missing")
	}
}

// optional describes an element that may be absent (nil).
func optional[T any](c *cursor, name, ns string, v **T, describe func(*cursor, *T)) {
	if !c.write {
		*v = new(T)
	}
	if !c.part(name, ns, *v != nil, func(kid *cursor) { describe(kid, *v) }) {
		*v = nil
	}
}

// list describes an element that may stand several times.
func list[T any](c *cursor, name, ns string, v *[]T, least int, describe func(*cursor, *T)) {
	each(c, name, v, least, formObject, func(n *node, path string, e *T) {
		kid := &cursor{coder: c.coder, n: n, ns: ns, path: path}
		if kid.enter(true, false) {
			describe(kid, e)
			kid.done()
		}
	})
}

// each walks the elements of one name.
func each[T any](c *cursor, name string, v *[]T, least int, f form, one func(n *node, path string, e *T)) {
	if !c.write {
		*v = nil
		for n := c.take(name); n != nil; n = c.take(name) {
			var e T
			one(n, c.path+"/"+name+"["+strconv.Itoa(len(*v)+1)+"]", &e)
			*v = append(*v, e)
			if len(*v) > maxItems {
				c.bad(name + " stands too often")
			}
		}
	}
	if c.fault == nil && (len(*v) < least || len(*v) > maxItems) {
		c.bad(name + " is missing or stands too often")
		return
	}
	if c.write {
		for i := range *v {
			n := c.add(name, f)
			n.item = true
			one(n, c.path+"/"+name, &(*v)[i])
		}
	}
}

// leaf describes a value; an absent one is the zero value of T. An empty element is
// refused: absence is said by leaving it out.
func leaf[T comparable](c *cursor, name string, v *T, r rule[T]) {
	var zero T
	if c.write {
		if *v != zero {
			r.encode(c, c.add(name, r.form), c.path+"/"+name, *v)
		}
		return
	}
	*v = zero
	if n := c.take(name); n != nil {
		*v = r.decode(c, n, c.path+"/"+name, false)
	}
}

// need describes a value that must be there.
func need[T comparable](c *cursor, name string, v *T, r rule[T]) {
	leaf(c, name, v, r)
	var zero T
	if c.fault == nil && *v == zero {
		c.bad(name + " is missing")
	}
}

// given describes a value whose zero value is not absence.
func given[T any](c *cursor, name string, v **T, r rule[T]) {
	if c.write {
		if *v != nil {
			r.encode(c, c.add(name, r.form), c.path+"/"+name, **v)
		}
		return
	}
	*v = nil
	if n := c.take(name); n != nil {
		got := r.decode(c, n, c.path+"/"+name, false)
		*v = &got
	}
}

// leaves describes values that stand several times.
func leaves[T any](c *cursor, name string, v *[]T, least int, r rule[T]) {
	each(c, name, v, least, r.form, func(n *node, path string, e *T) {
		if c.write {
			r.encode(c, n, path, *e)
			return
		}
		*e = r.decode(c, n, path, true)
	})
}

// count describes a number that must be there; zero is one.
func count(c *cursor, name string, v *uint32) {
	p := v
	given(c, name, &p, number())
	switch {
	case p != nil:
		*v = *p
	case c.fault == nil:
		c.bad(name + " is missing")
	}
}
