//go:build race

package sipproxy_test

// raceDetector makes a copy many times as slow as it is.
const raceDetector = true
