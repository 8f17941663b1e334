package profile

import (
	"errors"
	"os"
	"slices"
)

// ErrFile means that the file of a profile cannot be read.
var ErrFile = errors.New("want de, nl, uk or us, or a profile's file that can be read")

// Open returns a built-in profile by its name, or the one in a file of the operator.
// The error is ErrFile, or a *FileError with every fault.
func Open(nameOrFile string) (*Profile, error) {
	if slices.Contains(Names(), nameOrFile) {
		return Load(nameOrFile)
	}
	text, err := os.ReadFile(nameOrFile)
	if err != nil {
		return nil, ErrFile
	}
	return Parse(text)
}
