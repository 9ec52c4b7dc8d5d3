package atomicfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
)

// Sweep removes from a folder and those below it the temporary files of processes that
// are no more: a process that is killed leaves the one that it was writing. A folder
// that is not there is no error.
func Sweep(dir string) error {
	temporary := regexp.MustCompile(`^\..*new-([0-9]+)-`)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // it went while one looked, or is another's
		}
		match := temporary.FindStringSubmatch(entry.Name())
		if match == nil {
			return nil
		}
		pid, err := strconv.Atoi(match[1])
		if err != nil || pid == os.Getpid() || syscall.Kill(pid, 0) != syscall.ESRCH {
			return nil
		}
		return Remove(path)
	})
	if err != nil {
		return fmt.Errorf("remove temporary files: %w", err)
	}
	return nil
}
