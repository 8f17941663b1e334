// Package bench measures the gateway's parts on this machine. The load runs in a
// process of its own (Load), so that the processor time of the measured process is
// that of the measured part.
package bench
