package etsi

import "time"

// maxSeconds is the end of the year 9999, where both time formats end.
const maxSeconds = 253_402_300_799

// checkTime holds a time against what both formats can say.
func checkTime(at time.Time) error {
	if s := at.Unix(); s < 0 || s > maxSeconds {
		return ErrTime
	}
	return nil
}

// appendGeneralized appends a GeneralizedTime in UTC with six decimals, 22 octets.
func appendGeneralized(dst []byte, tag byte, at time.Time) []byte {
	at = at.UTC()
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	dst = append(dst, tag, 22)
	dst = appendDecimal(dst, year, 4)
	dst = appendDecimal(dst, int(month), 2)
	dst = appendDecimal(dst, day, 2)
	dst = appendDecimal(dst, hour, 2)
	dst = appendDecimal(dst, minute, 2)
	dst = appendDecimal(dst, second, 2)
	dst = append(dst, '.')
	dst = appendDecimal(dst, at.Nanosecond()/1000, 6)
	return append(dst, 'Z')
}

func appendDecimal(dst []byte, v, digits int) []byte {
	dst = append(dst, "000000"[:digits]...)
	for i := len(dst) - 1; v > 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return dst
}

// appendMicro appends a MicroSecondTimeStamp (TS 102 232-1 clause 5.2.6).
func appendMicro(dst []byte, tag byte, at time.Time) []byte {
	dst, m := open(dst, tag, 0)
	dst = appendUint(dst, ctx+0, uint64(at.Unix()))
	dst = appendUint(dst, ctx+1, uint64(at.Nanosecond()/1000))
	return end(dst, m)
}

// readMicro reads a MicroSecondTimeStamp.
func readMicro(v []byte, to *time.Time) error {
	f := fields{rest: v, max: 1}
	var seconds, micros uint64
	for f.next() {
		var err error
		switch f.id {
		case ctx + 0:
			seconds, err = readUint(f.value, maxSeconds)
		case ctx + 1:
			micros, err = readUint(f.value, 999_999)
		default:
			f.skip()
		}
		if err != nil {
			f.keep(ErrTime)
		}
	}
	*to = time.Unix(int64(seconds), int64(micros)*1000).UTC()
	return f.done(1<<0 | 1<<1)
}

// readPayloadTime reads the time of an aggregated payload in either format. Of both
// the one in microseconds counts, which comes last.
func readPayloadTime(e element, to *time.Time) error {
	if e.id == ctx+1 {
		return readGeneralized(e.value, to)
	}
	return readMicro(e.value, to)
}

// readGeneralized reads a GeneralizedTime with zone: one without is local time of a
// place that nobody named. Fractions are of a second, and cut off at nanoseconds.
func readGeneralized(v []byte, to *time.Time) error {
	n := leadingDigits(v)
	if n != 10 && n != 12 && n != 14 {
		return ErrTime
	}
	return readTime(to, string(v[:n]), string(v[n:]))
}

// readUTCTime reads a UTCTime: two digits stand for the years 1950 to 2049.
func readUTCTime(v []byte, to *time.Time) error {
	n := leadingDigits(v)
	if n != 10 && n != 12 {
		return ErrTime
	}
	century := "19"
	if v[0] < '5' {
		century = "20"
	}
	return readTime(to, century+string(v[:n]), string(v[n:]))
}

// maxFraction bounds the decimals of a second.
const maxFraction = 24

// readTime reads the digits of a time from the year on, and what follows them: a
// fraction and the zone.
func readTime(to *time.Time, digits, rest string) error {
	at, err := time.Parse("20060102150405"[:len(digits)], digits)
	if err != nil {
		return ErrTime
	}
	if rest != "" && (rest[0] == '.' || rest[0] == ',') {
		n := leadingDigits(rest[1:])
		if n == 0 || n > maxFraction || len(digits) != 14 {
			return ErrTime
		}
		unit := 100 * time.Millisecond
		for _, digit := range rest[1 : 1+n] {
			at = at.Add(time.Duration(digit-'0') * unit)
			unit /= 10
		}
		rest = rest[1+n:]
	}
	if rest != "Z" {
		offset, err := time.Parse("-0700", rest)
		if len(rest) == 3 {
			offset, err = time.Parse("-07", rest)
		}
		if err != nil {
			return ErrTime
		}
		_, east := offset.Zone()
		at = at.Add(-time.Duration(east) * time.Second)
	}
	*to = at
	return checkTime(at)
}

func leadingDigits[T string | []byte](v T) int {
	n := 0
	for n < len(v) && v[n] >= '0' && v[n] <= '9' {
		n++
	}
	return n
}
