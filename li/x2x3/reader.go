package x2x3

import (
	"errors"
	"io"
)

const (
	readBytes   = 64 << 10 // the buffer, which grows to MaxPDUBytes at most
	maxNoOctets = 100      // reads in a row without an octet
)

// Reader takes PDUs off a stream. Its buffer is bounded: a header that announces more
// than the limits is an error before anything of it is waited for.
type Reader struct {
	from    io.Reader
	buf     []byte
	begin   int // of what was read and not returned
	end     int
	decoder Decoder
}

// NewReader makes a Reader; nothing is read yet.
func NewReader(from io.Reader) *Reader { return &Reader{from: from, buf: make([]byte, readBytes)} }

// Next returns the next PDU, which aliases the Reader's buffer until the next call. At
// the end of the stream it is io.EOF, in the middle of a PDU io.ErrUnexpectedEOF. After
// an error of the stream that passes, such as a deadline, Next may be called again;
// after one of this package's it may not.
func (r *Reader) Next() (PDU, error) {
	for {
		p, n, err := r.decoder.Decode(r.buf[r.begin:r.end])
		if err == nil {
			r.begin += n
			return p, nil
		}
		if !errors.Is(err, ErrShort) {
			return PDU{}, err
		}
		if err := r.fill(); err != nil {
			return PDU{}, err
		}
	}
}

// Ready reports whether Next returns without reading.
func (r *Reader) Ready() bool {
	n, err := frame(r.buf[r.begin:r.end])
	return err == nil && r.end-r.begin >= n || err != nil && !errors.Is(err, ErrShort)
}

// Partial reports whether the beginning of a PDU was read.
func (r *Reader) Partial() bool { return r.end > r.begin }

// fill reads at least one octet, into a buffer that has room for the next PDU.
func (r *Reader) fill() error {
	r.makeRoom()
	for range maxNoOctets {
		n, err := r.from.Read(r.buf[r.end:])
		r.end += n
		switch {
		case n > 0:
			return nil // a fault that came with them comes again
		case errors.Is(err, io.EOF) && r.Partial():
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

func (r *Reader) makeRoom() {
	want := headerBytes
	if n, err := frame(r.buf[r.begin:r.end]); err == nil {
		want = n
	}
	if r.begin == r.end {
		r.begin, r.end = 0, 0
	}
	if len(r.buf)-r.begin >= want && r.end < len(r.buf) {
		return
	}
	to := r.buf
	if len(to) < want {
		to = make([]byte, want)
	}
	r.end = copy(to, r.buf[r.begin:r.end])
	r.buf, r.begin = to, 0
}
