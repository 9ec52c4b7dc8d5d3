package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/internal/atomicfile"
)

// room is what a journal reserves on disk: marks and a verdict fit in many times, so
// that a disk that fills up does not keep a deploy from being undone.
const room = 1 << 20

// journal is a file with one entry a line. Only whole lines count: what a crash has
// left of a last one is cut off before the next is written.
type journal struct {
	mu   sync.Mutex
	file *os.File
	end  int64 // where the whole lines end
	torn bool  // there is something after end
	room int64 // up to where room is reserved
	last bool  // no more of it is taken: it was given back for an undo
	seq  int64 // of the last entry
}

// Begin creates a request's journal, with room reserved on disk, or opens the one
// that is there. A disk that is full is an *api.Error with code Precondition. It takes
// no lock: who may write is who has created it, or who holds the deploy lock.
func (s *Store) Begin(app, request string) (agent.Journal, bool, error) {
	if !isApp(app) {
		return nil, false, noSuchApp(app)
	}
	if !isRequest(request) {
		return nil, false, api.Errorf(api.Usage, "open the journal", "%q is no request id", request)
	}
	path := s.Places.Journal(app, request)
	if err := atomicfile.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return nil, false, fullDisk(path, err)
	}
	existed := true
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := s.appendOrder(app, request); err != nil {
			return nil, false, fullDisk(path, err)
		}
		err := atomicfile.CreateFile(path, nil, 0o600)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, false, fullDisk(path, err)
		}
		existed = err != nil
	}
	j, err := openJournal(path)
	if err != nil {
		return nil, false, err
	}
	if existed {
		return j, true, nil
	}
	if err := j.reserve(); err != nil {
		return nil, false, fullDisk(path, errors.Join(err, j.file.Close(), removeFile(path)))
	}
	return j, false, nil
}

func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	text, err := os.ReadFile(path)
	var entries []agent.Entry
	var end int
	if err == nil {
		entries, end, err = parseJournal(text, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the journal %s: %w", path, err), file.Close())
	}
	j := &journal{file: file, end: int64(end), torn: end < len(text)}
	if len(entries) > 0 {
		j.seq = entries[len(entries)-1].Seq
	}
	return j, nil
}

// parseJournal returns the entries of whole lines, the first skip left out, and where
// the last of them ends. A last line that is no entry was being written in a crash; one in the
// middle means that the file was damaged. Zeros are where a page was not yet on disk when the
// machine went down, though a later one was: neither was synced, so nobody has acted on them.
func parseJournal(text []byte, skip int) (entries []agent.Entry, end int, err error) {
	for n := 0; end < len(text); n++ {
		length := bytes.IndexByte(text[end:], '\n') + 1
		if length == 0 || bytes.IndexByte(text[end:end+length], 0) >= 0 {
			break
		}
		if n >= skip {
			var entry agent.Entry
			if err := json.Unmarshal(text[end:end+length], &entry); err != nil {
				if end+length == len(text) {
					break
				}
				return nil, 0, fmt.Errorf("line %d is damaged: %w", n+1, err)
			}
			entries = append(entries, entry)
		}
		end += length
	}
	return entries, end, nil
}

// reserve allocates disk space behind the end of the journal. Where the file system
// cannot, it makes sure that there is as much.
func (j *journal) reserve() error { return j.reserveSome(room) }

func (j *journal) reserveSome(room int64) error {
	err := unix.Fallocate(int(j.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, j.end+room)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		var stat unix.Statfs_t
		if err = unix.Fstatfs(int(j.file.Fd()), &stat); err == nil && stat.Bsize*int64(stat.Bavail) < room {
			err = unix.ENOSPC
		}
	}
	if err == nil {
		j.room = j.end + room
	}
	return err
}

// lastRoom is what stays reserved for an undo, which notes each step in a line.
const lastRoom = 64 << 10

// Yield gives back what is reserved but for lastRoom. One that has given back all, and that
// a full disk keeps from reserving anything, has nothing to give.
func (j *journal) Yield() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.torn {
		return nil // its end is not where the file's is
	}
	if err := j.file.Truncate(j.end); err != nil { // to the size that it has: frees what is behind it
		return fmt.Errorf("give back what the journal has reserved: %w", err)
	}
	j.last = true
	if err := j.reserveSome(lastRoom); err != nil {
		return fmt.Errorf("reserve room for the journal: %w", err)
	}
	return nil
}

// fullDisk says of a full disk which one it is; all other errors stay.
func fullDisk(path string, err error) error {
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("create the journal: %w", err)
	}
	mount := mountOf(path)
	return api.Errorf(api.Precondition, "reserve room for the journal", "the disk that is mounted on %s is full: %w", mount, err).
		WithHint("make room on it (df %s); nothing was changed", mount)
}

// mountOf is the topmost folder above path that is on the same disk.
func mountOf(path string) string {
	var device uint64
	for first := true; ; first = false {
		dir := filepath.Dir(path)
		var stat unix.Stat_t
		if unix.Stat(dir, &stat) == nil {
			if !first && device != 0 && stat.Dev != device {
				return path
			}
			device = stat.Dev
		}
		if dir == path {
			return dir
		}
		path = dir
	}
}

// Tidy gives back the room that a journal has reserved and not used. Nobody may be
// writing to it.
func (s *Store) Tidy(app, request string) error {
	if !isApp(app) || !isRequest(request) {
		return fmt.Errorf("request %q of %q: %w", request, app, agent.ErrNotFound)
	}
	path := s.Places.Journal(app, request)
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return fmt.Errorf("look at the journal: %w", err)
	}
	if stat.Blocks*512 < stat.Size+lastRoom/2 {
		return nil
	}
	j, err := openJournal(path)
	if err != nil {
		return err
	}
	return j.Close()
}

// Write appends an entry and returns when it is on disk.
func (j *journal) Write(entry agent.Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.append(entry); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// Note appends an entry without waiting for the disk. It never takes the room that
// marks and the verdict may need: where a disk is full, a program that prints a lot is
// cut short, and its deploy can still be undone.
func (j *journal) Note(entry agent.Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.last && j.room-j.end < lastRoom/2 {
		return errors.New("write the journal: what is left is for marks")
	}
	if !j.last && j.room > 0 && j.room-j.end < room/2 {
		if err := j.reserve(); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
	}
	return j.append(entry)
}

func (j *journal) append(entry agent.Entry) error {
	entry.Seq = j.seq + 1
	line, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	if j.torn {
		if err := j.file.Truncate(j.end); err != nil {
			return fmt.Errorf("cut the journal's torn end off: %w", err)
		}
		j.torn = false
	}
	n, err := j.file.Write(append(line, '\n'))
	if err != nil {
		j.torn = n > 0
		return fmt.Errorf("write the journal: %w", err)
	}
	j.end += int64(n)
	j.seq = entry.Seq
	return nil
}

// Close gives back the room that was not used. It may be called again, to no effect.
func (j *journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	info, err := j.file.Stat()
	if err == nil && !j.torn && info.Size() == j.end {
		err = j.file.Truncate(j.end) // to the size that it has: frees what is allocated behind it
	}
	err = errors.Join(err, j.file.Close())
	j.file = nil
	return err
}
