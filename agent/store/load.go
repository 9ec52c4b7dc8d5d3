package store

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/archive"
	"github.com/dokku-push/dokku-push/api"
)

// mostEntries is how many entries an image archive may have: three for each layer of some
// images.
const mostEntries = 4096

// loading is one archive that is being read. Each file of it becomes a blob of the app
// while it streams by: nothing is laid out under a name of the archive's.
type loading struct {
	handler
	platform agent.EngineInfo
	files    map[string]archived
	links    map[string]string
	fresh    map[string]bool // blobs that the app did not hold before
}

// archived is a file of an archive.
type archived struct {
	digest string
	size   int64
}

// Load reads an image archive, what docker save writes or an OCI layout as a tar, either
// perhaps gzipped, and keeps the image of that name, of the engine's platform, for the
// app's next deploy. An archive is never trusted: what is in it is what its digests say,
// and on an error nothing of it is kept.
func (s *Store) Load(ctx context.Context, app, name string, platform agent.EngineInfo, from io.Reader) (api.Image, error) {
	if !appForm.MatchString(app) {
		return api.Image{}, fmt.Errorf("load an image for %q: not an app's name", app)
	}
	l := &loading{handler: handler{store: s, app: app, may: func(string) bool { return false }}, platform: platform,
		files: map[string]archived{}, links: map[string]string{}, fresh: map[string]bool{}}
	l.others = sync.OnceValues(l.askOthers)
	image, err := l.load(ctx, name, from)
	if err == nil {
		err = l.letGo(image.Manifest)
	} else if gone := l.letGo(""); gone != nil {
		err = fmt.Errorf("%w; what it brought could not be removed: %w", err, gone)
	}
	return image, err
}

func (l *loading) load(ctx context.Context, name string, from io.Reader) (api.Image, error) {
	buffered := bufio.NewReaderSize(from, 64<<10)
	var plain io.Reader = buffered
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		expanded, err := gzip.NewReader(buffered)
		if err != nil {
			return api.Image{}, broken("", err)
		}
		plain = expanded
	}
	whole := &archive.Whole{R: plain}
	if err := l.read(ctx, tar.NewReader(whole)); err != nil {
		return api.Image{}, err
	}
	if whole.Short {
		return api.Image{}, broken("", io.ErrUnexpectedEOF)
	}
	if err := end(plain); err != nil {
		return api.Image{}, err
	}
	raw, mediaType, err := l.choose(name)
	if err != nil {
		return api.Image{}, err
	}
	digest := digestOf(raw)
	err = l.take(ctx, raw, digest, mediaType)
	if no, ok := errors.AsType[*refusal](err); ok {
		return api.Image{}, bad("", "%s", no.Error())
	}
	if err != nil {
		return api.Image{}, err
	}
	rec, err := l.store.record(l.app, digest)
	return api.Image{ID: rec.Config, Manifest: digest}, err
}

// bad refuses an archive; entry names what is wrong in it.
func bad(entry, format string, args ...any) error {
	place := ""
	if entry != "" {
		place = fmt.Sprintf("%.200q in it: ", entry)
	}
	return api.Errorf(api.Refused, "read the image archive", "%s%s", place, fmt.Sprintf(format, args...)).
		WithHint("write it with `docker save NAME` or as an OCI layout, and send it whole")
}

func broken(entry string, err error) error {
	return bad(entry, "no whole archive of an image: %v", err)
}

// read stores the files of the archive.
func (l *loading) read(ctx context.Context, from *tar.Reader) error {
	for entries := 0; ; entries++ {
		header, err := from.Next()
		switch {
		case errors.Is(err, io.EOF) && entries > 0:
			return nil
		case errors.Is(err, io.EOF):
			return bad("", "there is nothing in it")
		case err != nil:
			return broken("", err)
		case entries >= mostEntries:
			return bad("", "it has more than %d entries", mostEntries)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		name, err := l.name(header.Name)
		if err != nil {
			return err
		}
		switch header.Typeflag {
		case tar.TypeReg:
			err = l.file(from, header, name)
		case tar.TypeSymlink: // docker save has the same layer of two images once
			to := path.Join(path.Dir(name), header.Linkname)
			if path.IsAbs(header.Linkname) || to == ".." || strings.HasPrefix(to, "../") {
				return bad(header.Name, "a link that leads out of it")
			}
			l.links[name] = to
		default:
			return bad(header.Name, "it is neither a file nor a folder")
		}
		if err != nil {
			return err
		}
	}
}

// name refuses what is no path inside the archive, or one that was there.
func (l *loading) name(name string) (string, error) {
	clean := strings.TrimPrefix(name, "./")
	bogus := len(clean) > 512 || !utf8.ValidString(clean) || strings.ContainsFunc(clean, func(c rune) bool { return unicode.IsControl(c) || c == '\\' })
	for part := range strings.SplitSeq(clean, "/") {
		bogus = bogus || part == "" || part == "." || part == ".."
	}
	if bogus {
		return "", bad(name, "no name of a file in an image archive")
	}
	_, file := l.files[clean]
	if _, link := l.links[clean]; file || link {
		return "", bad(name, "it is there twice")
	}
	return clean, nil
}

// file stores one file as a blob of the app.
func (l *loading) file(from io.Reader, header *tar.Header, name string) error {
	id, err := l.store.newUpload(l.app)
	if err != nil {
		return err
	}
	u, err := l.store.openUpload(l.app, id)
	if err != nil {
		return err
	}
	defer u.close()
	readErr, err := u.appendFrom(from)
	if readErr != nil {
		err = broken(header.Name, readErr)
	} else if errors.Is(err, errQuota) {
		err = api.Errorf(api.Precondition, "read the image archive", "%w", err)
	}
	if err != nil {
		return errors.Join(err, u.discard())
	}
	digest := digestBytes(u.sum.Sum(nil))
	if hex, isBlob := strings.CutPrefix(name, "blobs/sha256/"); isBlob && hex != hexOf(digest) {
		return errors.Join(bad(header.Name, "its content has the digest %s", digest), u.discard())
	}
	if _, err := l.store.stat(l.app, digest); errors.Is(err, errUnknown) {
		l.fresh[digest] = true
	}
	l.files[name] = archived{digest, u.size}
	return u.finish(digest)
}

// find is the file that a document of the archive names, through one link.
func (l *loading) find(name string) (archived, error) {
	name = path.Clean(name)
	if to, link := l.links[name]; link {
		name = to
	}
	file, ok := l.files[name]
	if !ok {
		return file, bad(name, "it is named there and is not in it")
	}
	return file, nil
}

// text reads a small file of the archive.
func (l *loading) text(name string, most int64) ([]byte, error) {
	file, err := l.find(name)
	if err != nil {
		return nil, err
	}
	if file.size > most {
		return nil, bad(name, "it has more than %d bytes", most)
	}
	text, err := os.ReadFile(l.store.blobPath(file.digest))
	return text, wrap("read an image archive", err)
}

// letGo gives back what the archive brought beside the image that was taken.
func (l *loading) letGo(manifest string) error {
	needed := map[string]bool{}
	if manifest != "" {
		rec, err := l.store.record(l.app, manifest)
		if err != nil {
			return err
		}
		needed[rec.Config] = true
		for _, layer := range rec.Layers {
			needed[layer.Digest] = true
		}
	}
	unlock, err := l.store.lock(true)
	if err != nil {
		return err
	}
	defer unlock()
	for digest := range l.fresh {
		if needed[digest] {
			continue
		}
		if err := l.store.release(l.app, digest); err != nil {
			return err
		}
	}
	return nil
}

// end refuses what stands behind an archive's end, other than the zeros of its last block.
func end(rest io.Reader) error {
	switch err := archive.Ended(rest); {
	case err == nil:
		return nil
	case errors.Is(err, archive.ErrBehind):
		return bad("", "%v", err)
	default:
		return broken("", err)
	}
}
