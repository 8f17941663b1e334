//go:build !race

package sipproxy_test

const raceDetector = false
