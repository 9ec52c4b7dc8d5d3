package archive

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

func (u *unpacker) gzipped(from io.Reader) error {
	expanded, err := gzip.NewReader(from)
	if err != nil {
		return u.refuse("", "this is no .tar.gz: %v", err)
	}
	return u.tarred(expanded)
}

func (u *unpacker) tarred(from io.Reader) error {
	whole := &Whole{R: from}
	archive := tar.NewReader(whole)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			if len(u.seen) == 0 {
				return u.refuse("", "there is nothing in it")
			}
			if whole.Short {
				return u.refuse("", "it is broken: it ends before its end")
			}
			return u.end(from)
		}
		if err != nil {
			return u.refuse("", "it is broken: %v", err)
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue // git's, with the commit
		}
		if err := u.entry(header, archive); err != nil {
			return err
		}
	}
}

// Whole is what a tar is read from. The standard library takes a tar that was cut off between
// two entries for one that is over; Short then says that its end, two blocks of zeros, never
// came.
type Whole struct {
	R     io.Reader
	Short bool
	err   error
}

func (w *Whole) Read(p []byte) (int, error) {
	if w.err != nil {
		w.Short = w.Short || errors.Is(w.err, io.EOF)
		return 0, w.err
	}
	n, err := w.R.Read(p)
	if n > 0 {
		w.err = err
		return n, nil
	}
	w.Short = errors.Is(err, io.EOF)
	return n, err
}

// ErrBehind is what Ended returns when an archive is followed by something.
var ErrBehind = errors.New("something stands behind its end")

// Ended reads what stands behind an archive's end: another one, or anything but the zeros
// that fill its last block, is ErrBehind; other errors are the reader's.
func Ended(rest io.Reader) error {
	buffer := make([]byte, 32<<10)
	for most := 4 << 20; most > 0; {
		n, err := rest.Read(buffer)
		if strings.Trim(string(buffer[:n]), "\x00") != "" {
			break
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		most -= n
	}
	return ErrBehind
}

// end refuses what stands behind an archive's end.
func (u *unpacker) end(rest io.Reader) error {
	switch err := Ended(rest); {
	case err == nil:
		return nil
	case errors.Is(err, ErrBehind):
		return u.refuse("", "%v", err)
	default:
		return u.refuse("", "it is broken: %v", err)
	}
}

// zipped keeps the archive in a file without a name, for its list of entries is at its end.
func (u *unpacker) zipped(from io.Reader) error {
	spool, err := os.CreateTemp("", "dokku-push-archive-")
	if err != nil {
		return fmt.Errorf("%s: %w", u.Op, err)
	}
	defer spool.Close()
	if err := os.Remove(spool.Name()); err != nil {
		return fmt.Errorf("%s: %w", u.Op, err)
	}
	size, err := io.Copy(spool, from)
	if err != nil {
		return u.refuse("", "it is broken: %v", err)
	}
	u.read = func() int64 { return size }
	first := make([]byte, 4)
	if _, err := spool.ReadAt(first, 0); err != nil || string(first) != "PK\x03\x04" {
		return u.refuse("", "this is no .zip")
	}
	archive, err := zip.NewReader(spool, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are judged below
		return u.refuse("", "this is no .zip: %v", err)
	}
	if len(archive.File) > u.MostFiles {
		return u.refuse("", "there are more than %d files", u.MostFiles)
	}
	for _, file := range archive.File {
		if err := u.zipEntry(file); err != nil {
			return err
		}
	}
	if len(u.seen) == 0 {
		return u.refuse("", "there is nothing in it")
	}
	return nil
}

// The systems whose modes a zip carries.
const (
	madeOnUnix = 3
	madeOnMac  = 19
)

func (u *unpacker) zipEntry(file *zip.File) error {
	if file.Flags&1 != 0 {
		return u.refuse(file.Name, "it is encrypted")
	}
	if file.Method != zip.Store && file.Method != zip.Deflate {
		return u.refuse(file.Name, "it is packed in a way (%d) that is not read here", file.Method)
	}
	if file.UncompressedSize64 > uint64(u.MostBytes) {
		return u.refuse(file.Name, "there are more than %d MiB", u.MostBytes>>20)
	}
	header := &tar.Header{Name: file.Name, Mode: 0o644, Size: int64(file.UncompressedSize64), Typeflag: tar.TypeReg}
	mode := file.Mode()
	if made := file.CreatorVersion >> 8; made == madeOnUnix || made == madeOnMac {
		header.Mode = int64(mode.Perm())
		for bit, tars := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
			if mode&bit != 0 {
				header.Mode |= tars
			}
		}
	}
	switch {
	case mode&fs.ModeSymlink != 0:
		header.Typeflag = tar.TypeSymlink
	case mode.IsDir() || strings.HasSuffix(file.Name, "/"):
		header.Typeflag = tar.TypeDir
	case !mode.IsRegular():
		header.Typeflag = tar.TypeFifo // or a device: neither is taken
	}
	content, err := file.Open()
	if err != nil {
		return u.refuse(file.Name, "it is broken: %v", err)
	}
	defer content.Close()
	if header.Typeflag == tar.TypeSymlink {
		target, err := io.ReadAll(io.LimitReader(content, 4<<10))
		if err != nil {
			return u.refuse(file.Name, "it is broken: %v", err)
		}
		header.Linkname = string(target)
	}
	return u.entry(header, content)
}
