package static

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layer is a packed layer on disk. It was read once, so its digests hold even
// if the source changes while the image is sent.
type layer struct {
	path           string
	diffID, digest v1.Hash
	size           int64
	mediaType      types.MediaType
}

func (l *layer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l *layer) Digest() (v1.Hash, error)            { return l.digest, nil }
func (l *layer) Size() (int64, error)                { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.mediaType, nil }
func (l *layer) Compressed() (io.ReadCloser, error)  { return os.Open(l.path) }

// Uncompressed opens the tar.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{unpacked, f}, nil
}

// pack writes the layer into the cache under its digest.
func pack(ctx context.Context, cache string, from source, files []file, mediaType types.MediaType, said *story) (*layer, error) {
	if cache == "" {
		return nil, errors.New("no cache folder was named")
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, fmt.Errorf("make the layer cache: %w", err)
	}
	temp, err := os.CreateTemp(cache, ".layer-")
	if err != nil {
		return nil, fmt.Errorf("write to the layer cache: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // fails after the rename, as it should
	l := &layer{mediaType: mediaType}
	packed, unpacked := sha256.New(), sha256.New()
	err = compress(ctx, io.MultiWriter(temp, packed), unpacked, from, files, said)
	if err == nil {
		l.size, err = temp.Seek(0, io.SeekCurrent)
	}
	if closing := temp.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	l.digest, l.diffID = sum(packed), sum(unpacked)
	l.path = filepath.Join(cache, l.digest.Hex+".tar.gz")
	if err := os.Rename(temp.Name(), l.path); err != nil {
		return nil, fmt.Errorf("write to the layer cache: %w", err)
	}
	trim(cache, l.path)
	return l, nil
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// compress writes the layer's tar, gzipped, to w and the tar itself to plain.
func compress(ctx context.Context, w, plain io.Writer, from source, files []file, said *story) error {
	zipped, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(io.MultiWriter(zipped, plain))
	if err := writeFiles(ctx, archive, from, files, said); err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

// writeFiles writes the folders above and at dest, then the files. Folders are
// named even where the base has them: Docker gives a folder that no layer names
// a mode of its own choice.
func writeFiles(ctx context.Context, archive *tar.Writer, from source, files []file, said *story) error {
	root, err := os.OpenRoot(filepath.Join(from.context, from.dir))
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	dest := strings.TrimPrefix(from.dest, "/")
	for i := range len(dest) + 1 {
		if i > 0 && (i == len(dest) || dest[i] == '/') {
			if err := archive.WriteHeader(header(dest[:i], file{mode: fs.ModeDir})); err != nil {
				return err
			}
		}
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeFile(ctx, archive, root, path.Join(dest, f.name), f, said); err != nil {
			return fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	return nil
}

// header describes an entry with nothing in it that depends on the machine:
// owner root, a fixed time, and of the mode only whether it is a program.
func header(name string, f file) *tar.Header {
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, ModTime: epoch}
	switch {
	case f.mode.IsDir():
		h.Name, h.Typeflag, h.Mode = name+"/", tar.TypeDir, 0o755
	case f.mode.Type() == fs.ModeSymlink:
		h.Typeflag, h.Mode, h.Linkname = tar.TypeSymlink, 0o777, f.link
	case f.mode&0o100 != 0:
		h.Mode = 0o755
	}
	return h
}

func writeFile(ctx context.Context, archive *tar.Writer, root *os.Root, name string, f file, said *story) error {
	h := header(name, f)
	if h.Typeflag != tar.TypeReg {
		return archive.WriteHeader(h)
	}
	content, err := root.Open(f.name)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	info, err := content.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no longer a file")
	}
	h.Size = info.Size()
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.CopyN(archive, said.read(ctx, content), h.Size); err != nil {
		return fmt.Errorf("it changed while it was read: %w", err)
	}
	return nil
}
