package wire

import "bytes"

// FrameLength measures the first message of a stream (RFC 3261 clause 18.3). It
// returns 0 when more octets are needed, ErrFrame when the end cannot be known.
// Leading CRLFs are the caller's: they are keep-alives (RFC 5626 clause 3.5.1).
func FrameLength(b []byte) (int, error) {
	head := bytes.Index(b, []byte("\r\n\r\n"))
	if head < 0 {
		if len(b) >= MaxMessageBytes {
			return 0, ErrFrame
		}
		return 0, nil
	}
	begin := bytes.Index(b, []byte("\r\n")) + 2
	length, seen := 0, false
	for at := begin; at < head+2; {
		end, ok := lineEnd(b[:head+4], at)
		if !ok || end > head+2 {
			return 0, ErrFrame
		}
		f, ok := field(b, Span{at, end})
		if ok && f.Header == ContentLength {
			n, ok := number(b[f.Value.Start:f.Value.End], MaxMessageBytes)
			if !ok || seen && int(n) != length {
				return 0, ErrFrame
			}
			length, seen = int(n), true
		}
		at = end
	}
	total := head + 4 + length
	if total > MaxMessageBytes {
		return 0, ErrFrame
	}
	if total > len(b) {
		return 0, nil
	}
	return total, nil
}
