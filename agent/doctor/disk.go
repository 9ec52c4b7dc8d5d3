package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dokku-push/dokku-push/api"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// Volume is a file system with room. Files is 0 where it does not count inodes.
type Volume struct {
	ID               string // the same for paths on the same one
	Size, Free       uint64 // bytes, free ones as anybody but root has them
	Files, FilesFree uint64 // inodes
}

// volume is the file system that a path is on, or would be.
func volume(path string) (Volume, error) {
	var stat syscall.Statfs_t
	err := syscall.Statfs(path, &stat)
	for errors.Is(err, fs.ErrNotExist) && path != "/" && path != "." {
		path = filepath.Dir(path)
		err = syscall.Statfs(path, &stat)
	}
	if err != nil {
		return Volume{}, fmt.Errorf("look at the file system of %s: %w", path, err)
	}
	size := uint64(stat.Bsize)
	id := fmt.Sprintf("%v %d %d", stat.Fsid, stat.Type, stat.Blocks)
	return Volume{ID: id, Size: stat.Blocks * size, Free: stat.Bavail * size, Files: stat.Files, FilesFree: stat.Ffree}, nil
}

// disks looks at every file system that a host writes to: images, state, sites, logs.
func (d *Doctor) disks(ctx context.Context) []api.HealthFinding {
	logs := "/var/log"
	if d.Config.Embedded {
		logs = d.Places.Logs
	}
	paths := []string{d.Places.Lib, d.Places.Root, logs}
	if info, err := d.Info(ctx); err == nil && info.Root != "" {
		paths = append([]string{info.Root}, paths...)
	}
	var order []string
	volumes, shared := map[string]Volume{}, map[string][]string{}
	var findings []api.HealthFinding
	for _, path := range paths {
		v, err := d.Volume(path)
		if err != nil {
			findings = append(findings, unknown(api.HealthDisk, err)...)
			continue
		}
		if _, seen := volumes[v.ID]; !seen {
			order = append(order, v.ID)
		}
		volumes[v.ID], shared[v.ID] = v, append(shared[v.ID], path)
	}
	for _, id := range order {
		name := strings.Join(shared[id], ", ")
		findings = append(findings, room(name, volumes[id]))
		if volumes[id].Files > 0 {
			findings = append(findings, inodes(name, volumes[id]))
		}
	}
	return findings
}

func room(name string, v Volume) api.HealthFinding {
	const hint = "docker system df shows what images take; docker image prune removes those that no container and no name uses"
	what := fmt.Sprintf("%s: %s of %s free (%d %%)", name, size(v.Free), size(v.Size), percent(v.Free, v.Size))
	switch {
	case v.Free < 512*mib:
		return fail(api.HealthDisk, hint, "%s", what)
	case v.Free < 2*gib, v.Free < 20*gib && percent(v.Free, v.Size) < 10:
		return warn(api.HealthDisk, hint, "%s", what)
	}
	return fine(api.HealthDisk, "%s", what)
}

func inodes(name string, v Volume) api.HealthFinding {
	const hint = "df -i; many small files, often of build caches or sessions, use them up"
	what := fmt.Sprintf("%s: %d of %d inodes free (%d %%)", name, v.FilesFree, v.Files, percent(v.FilesFree, v.Files))
	switch free := percent(v.FilesFree, v.Files); {
	case free < 2:
		return fail(api.HealthInodes, hint, "%s", what)
	case free < 10:
		return warn(api.HealthInodes, hint, "%s", what)
	}
	return fine(api.HealthInodes, "%s", what)
}

func percent(part, whole uint64) uint64 {
	if whole == 0 {
		return 0
	}
	return uint64(float64(part) / float64(whole) * 100)
}

func size(bytes uint64) string {
	if bytes < gib {
		return fmt.Sprintf("%d MiB", bytes/mib)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/gib)
}
