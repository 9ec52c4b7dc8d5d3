package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/moby/moby/client"
)

// ReadFile reads a regular file of a container, which need not run. The engine sends the
// last part of the path as it is: a link is refused here, not followed.
func (e *Engine) ReadFile(ctx context.Context, ref, path string, most int64) ([]byte, error) {
	doing := "read " + path + " of the container " + ref
	found, err := e.api.CopyFromContainer(ctx, ref, client.CopyFromContainerOptions{SourcePath: path})
	if err != nil {
		return nil, wrap(doing, err)
	}
	defer func() { _ = found.Content.Close() }()
	switch mode := found.Stat.Mode; {
	case mode&fs.ModeSymlink != 0:
		return nil, fmt.Errorf("%s: it is a symbolic link to %q, which is not followed", doing, found.Stat.LinkTarget)
	case !mode.IsRegular():
		return nil, fmt.Errorf("%s: it is no file", doing)
	case found.Stat.Size > most:
		return nil, fmt.Errorf("%s: it has %d bytes, at most %d are read", doing, found.Stat.Size, most)
	}
	archive := tar.NewReader(found.Content)
	header, err := archive.Next()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if header.Typeflag != tar.TypeReg || header.Size > most {
		return nil, fmt.Errorf("%s: it is no file of at most %d bytes", doing, most)
	}
	content, err := io.ReadAll(io.LimitReader(archive, most))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return content, nil
}
