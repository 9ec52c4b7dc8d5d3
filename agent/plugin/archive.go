package plugin

import (
	"io"

	archives "github.com/dokku-push/dokku-push/agent/archive"
)

// mostCompressed is the largest archive, in bytes.
const mostCompressed = 128 << 20

// unpack lays a .tar.gz out as dir, which must be there and empty; its one top folder is
// taken off.
func unpack(op string, from io.Reader, shown, dir string) error {
	return archives.Unpack(from, archives.TarGz, dir, archives.Rules{Op: op, Shown: shown, What: "plugin", OneFolder: true,
		MostCompressed: mostCompressed, MostBytes: mostBytes, MostFiles: mostFiles})
}
