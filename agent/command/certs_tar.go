package command

import (
	"archive/tar"
	"errors"
	"io"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

const (
	mostEntries = 16      // of a certificate's archive
	mostArchive = 4 << 20 // bytes of it
)

// certificateTar reads the one .crt and the one .key of an archive. Nothing is written
// anywhere, and no name in it is believed to be more than a name.
func certificateTar(in io.Reader) (chain, key []byte, err error) {
	refuse := func(format string, args ...any) ([]byte, []byte, error) {
		return nil, nil, api.Errorf(api.Usage, "read the archive", format, args...).
			WithHint("tar c server.crt server.key | ssh … certs:add APP")
	}
	limited := &io.LimitedReader{R: in, N: mostArchive + 1}
	archive := tar.NewReader(limited)
	for entries := 0; ; entries++ {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			if problem := behind(limited); problem != "" {
				return refuse("%s", problem)
			}
			switch {
			case entries == 0:
				return refuse("Tar archive containing server.crt and server.key expected on stdin")
			case chain == nil:
				return refuse("Tar archive is missing a .crt file")
			case key == nil:
				return refuse("Tar archive is missing a .key file")
			}
			return chain, key, nil
		case err != nil:
			return refuse("standard input is no whole tar archive")
		case entries >= mostEntries:
			return refuse("it has more than %d entries", mostEntries)
		}
		if problem := badEntry(header); problem != "" {
			return refuse("%.100q %s", header.Name, problem)
		}
		name := path.Base(header.Name)
		to := map[string]*[]byte{".crt": &chain, ".key": &key}[path.Ext(name)]
		if header.Typeflag == tar.TypeDir || strings.HasPrefix(name, ".") || to == nil {
			continue // a Mac puts ._server.crt beside server.crt
		}
		if *to != nil {
			return refuse("it has two %s files", path.Ext(name))
		}
		if *to, err = io.ReadAll(io.LimitReader(archive, agent.MostCertificate+1)); err != nil {
			return refuse("standard input is no whole tar archive")
		}
	}
}

// badEntry tells why an entry is refused.
func badEntry(header *tar.Header) string {
	switch {
	case header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir:
		return "is neither a file nor a folder"
	case header.Size > agent.MostCertificate:
		return "is too large for a certificate"
	case header.Mode&0o7000 != 0:
		return "has a set-user-id, set-group-id or sticky bit"
	case len(header.Name) > 255 || !utf8.ValidString(header.Name) || strings.ContainsFunc(header.Name, unicode.IsControl) || strings.ContainsRune(header.Name, '\\'):
		return "is no name for a file"
	case path.IsAbs(header.Name):
		return "is an absolute path"
	}
	for part := range strings.SplitSeq(header.Name, "/") {
		if part == ".." {
			return "leads out of the archive"
		}
	}
	return ""
}

// behind tells what is wrong with what follows the end of an archive: nothing but the
// zeros that fill its last block may.
func behind(in *io.LimitedReader) string {
	rest, err := io.ReadAll(in)
	switch {
	case err != nil:
		return "standard input is no whole tar archive"
	case in.N <= 0:
		return "it is too large for a certificate"
	case strings.Trim(string(rest), "\x00") != "":
		return "something follows its end"
	}
	return ""
}
