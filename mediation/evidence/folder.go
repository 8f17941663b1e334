package evidence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
)

// Folder is a blob store in a local folder.
type Folder struct {
	*blob.Bucket

	dir string
}

// OpenFolder opens a blob store in dir, which is made if it is not there. Close it
// after use.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, errors.New("evidence: cannot make the folder of sealed segments")
	}
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{Metadata: fileblob.MetadataDontWrite, NoTempDir: true, DirFileMode: 0o700})
	if err != nil {
		return nil, fmt.Errorf("evidence: open folder: %w", err)
	}
	return &Folder{Bucket: bucket, dir: dir}, nil
}

// Flush is Config.Flush of this folder: the file and the folders above it reach
// the disk.
func (f *Folder) Flush(key string) error {
	path := filepath.Join(f.dir, filepath.FromSlash(key))
	for ; len(path) >= len(filepath.Clean(f.dir)); path = filepath.Dir(path) {
		if err := syncPath(path); err != nil {
			return err
		}
	}
	return nil
}

func syncPath(path string) error {
	file, err := os.Open(path) //nolint:gosec // a name that Put made
	if err != nil {
		return errors.New("evidence: cannot open a blob that was just written")
	}
	return errors.Join(file.Sync(), file.Close())
}
