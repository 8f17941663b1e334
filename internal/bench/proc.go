package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of processor times in /proc: USER_HZ, which is 100 on every
// Linux.
const tick = time.Second / 100

// errProc says that the kernel's text is not what proc(5) promises.
var errProc = errors.New("bench: unexpected text in /proc")

// processTimes reads the text of /proc/PID/stat: the process group, and the user
// and system time of the process with all its threads.
func processTimes(stat []byte) (group int, busy time.Duration, err error) {
	// The name stands in parentheses and may hold anything, parentheses too.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, 0, errProc
	}
	const groupAt, userAt, systemAt = 2, 11, 12 // counted from the state
	fields := bytes.Fields(stat[end+1:])
	if len(fields) <= systemAt {
		return 0, 0, errProc
	}
	group, errGroup := strconv.Atoi(string(fields[groupAt]))
	user, errUser := strconv.ParseUint(string(fields[userAt]), 10, 40)
	system, errSystem := strconv.ParseUint(string(fields[systemAt]), 10, 40)
	if errors.Join(errGroup, errUser, errSystem) != nil {
		return 0, 0, errProc
	}
	return group, time.Duration(user+system) * tick, nil
}

// interruptTimes reads the text of /proc/stat: what all processors spent in
// interrupts and software interrupts.
func interruptTimes(stat []byte) (time.Duration, error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	const irqAt, softAt = 6, 7
	fields := bytes.Fields(line)
	if len(fields) <= softAt || string(fields[0]) != "cpu" {
		return 0, errProc
	}
	irq, errIRQ := strconv.ParseUint(string(fields[irqAt]), 10, 40)
	soft, errSoft := strconv.ParseUint(string(fields[softAt]), 10, 40)
	if errors.Join(errIRQ, errSoft) != nil {
		return 0, errProc
	}
	return time.Duration(irq+soft) * tick, nil
}

// memoryBytes reads the text of /proc/PID/smaps_rollup: resident memory, shared
// pages divided by the number of their users.
func memoryBytes(rollup []byte) (int, error) {
	for line := range bytes.Lines(rollup) {
		rest, ok := bytes.CutPrefix(line, []byte("Pss:"))
		if !ok {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, errProc
		}
		kb, err := strconv.Atoi(string(fields[0]))
		if err != nil {
			return 0, errProc
		}
		return kb << 10, nil
	}
	return 0, errProc
}

// spent is processor time at one moment.
type spent struct {
	busy       time.Duration // user and system time of the measured processes
	interrupts time.Duration // of the whole machine
}

func (s spent) since(before spent) spent {
	return spent{s.busy - before.busy, s.interrupts - before.interrupts}
}

// spentBy reads what a process group spent so far; group 0 is nobody.
func spentBy(group int) (s spent, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return s, fmt.Errorf("read processor time: %w", err)
	}
	if s.interrupts, err = interruptTimes(text); err != nil || group == 0 {
		return s, err
	}
	err = eachOf(group, func(_ string, busy time.Duration) error {
		s.busy += busy
		return nil
	})
	return s, err
}

// memoryOf is the resident memory of a process group in octets.
func memoryOf(group int) (sum int, err error) {
	err = eachOf(group, func(dir string, _ time.Duration) error {
		text, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
		if err != nil {
			return fmt.Errorf("read memory: %w", err)
		}
		n, err := memoryBytes(text)
		sum += n
		return err
	})
	return sum, err
}

// eachOf calls do with the /proc folder of every process of a group; none is an
// error.
func eachOf(group int, do func(dir string, busy time.Duration) error) error {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	found := false
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		g, busy, err := processTimes(text)
		if err != nil {
			return err
		}
		if g != group {
			continue
		}
		found = true
		if err := do(filepath.Dir(path), busy); err != nil {
			return err
		}
	}
	if !found {
		return errors.New("bench: the measured process has ended")
	}
	return nil
}
