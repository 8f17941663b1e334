//go:build race

package media_test

// raceDetector makes a copy many times as slow as it is.
const raceDetector = true
