package nft

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/dokku-push/dokku-push/api"
)

const opBook = "keep the apps' addresses"

// book is the file that says which stable address belongs to which app and
// index. It is changed under a lock and replaced whole.
type book struct {
	path   string
	subnet netip.Prefix
}

// entries is what the file holds. Next is where the search for a free address
// starts: an address that was given back is used again as late as possible,
// because an nginx worker may still know it.
type entries struct {
	Subnet netip.Prefix                  `json:"subnet"`
	Next   int                           `json:"next"`
	Apps   map[string]map[int]netip.Addr `json:"apps"`
}

// allot returns an address for each index of each app, new ones where there is
// none yet, and all addresses that these apps have.
func (b book) allot(apps map[string][]int) (given map[string]map[int]netip.Addr, owned []netip.Addr, err error) {
	given = make(map[string]map[int]netip.Addr, len(apps))
	err = b.change(func(e *entries) (bool, error) {
		changed := false
		for _, app := range sortedKeys(apps) {
			for _, index := range apps[app] {
				if _, ok := e.Apps[app][index]; ok {
					continue
				}
				if err := e.add(app, index); err != nil {
					return false, err
				}
				changed = true
			}
			given[app] = e.Apps[app]
			owned = append(owned, e.addresses(app)...)
		}
		return changed, nil
	})
	return given, owned, err
}

// owned lists an app's addresses.
func (b book) owned(app string) (addresses []netip.Addr, err error) {
	err = b.change(func(e *entries) (bool, error) {
		addresses = e.addresses(app)
		return false, nil
	})
	return addresses, err
}

// forget gives an app's addresses back.
func (b book) forget(app string) error {
	return b.change(func(e *entries) (bool, error) {
		_, had := e.Apps[app]
		delete(e.Apps, app)
		return had, nil
	})
}

// add gives an app the next free address.
func (e *entries) add(app string, index int) error {
	taken := make(map[netip.Addr]bool)
	for _, addresses := range e.Apps {
		for _, address := range addresses {
			taken[address] = true
		}
	}
	size := 1 << (32 - e.Subnet.Bits())
	for range size {
		address := nth(e.Subnet, e.Next%size)
		e.Next = (e.Next + 1) % size
		if !assignable(e.Subnet, address) || taken[address] {
			continue
		}
		if e.Apps[app] == nil {
			e.Apps[app] = make(map[int]netip.Addr)
		}
		e.Apps[app][index] = address
		return nil
	}
	return api.Errorf(api.Precondition, opBook, "every address of %s is in use", e.Subnet).
		WithHint("destroy apps that are no longer needed, or give the host a larger subnet")
}

func (e *entries) addresses(app string) []netip.Addr {
	var addresses []netip.Addr
	for _, address := range e.Apps[app] {
		addresses = append(addresses, address)
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return addresses
}

// change calls f with the entries under the book's lock and writes them when f
// says that they changed.
func (b book) change(f func(*entries) (changed bool, err error)) error {
	fail := func(what string, err error) error {
		return api.Errorf(api.Precondition, opBook, "%s: %w", what, err)
	}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o755); err != nil {
		return fail("create its folder", err)
	}
	lock, err := os.OpenFile(b.path+".lock", os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fail("open its lock", err)
	}
	defer lock.Close() //nolint:errcheck // closing releases the lock; nothing was written to it
	if err := flock(lock, unix.LOCK_EX); err != nil {
		return fail("take its lock", err)
	}
	e, err := b.read()
	if err != nil {
		return fail("read "+b.path, err)
	}
	changed, err := f(&e)
	if err != nil || !changed {
		return err
	}
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fail("encode it", err)
	}
	if err := replaceFile(b.path, append(data, '\n')); err != nil {
		return fail("write it", err)
	}
	return nil
}

// read returns the entries; those of another subnet are of no use any more.
func (b book) read() (entries, error) {
	fresh := entries{Subnet: b.subnet, Next: 1, Apps: make(map[string]map[int]netip.Addr)}
	data, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return entries{}, err
	}
	var e entries
	if err := json.Unmarshal(data, &e); err != nil {
		return entries{}, err
	}
	if e.Subnet != b.subnet {
		return fresh, nil
	}
	if e.Next < 0 || e.Apps == nil {
		return entries{}, errors.New("it is damaged")
	}
	for app, addresses := range e.Apps {
		for _, address := range addresses {
			if !assignable(b.subnet, address) {
				return entries{}, fmt.Errorf("%s of app %s is not in %s", address, app, b.subnet)
			}
		}
	}
	return e, nil
}

// replaceFile puts data in path's place: write, sync, rename, sync of the folder.
func replaceFile(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the error that brought us here says more
		}
	}()
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close() //nolint:errcheck // opened for reading only
	return folder.Sync()
}

// flock repeats a lock call that a signal interrupted.
func flock(file *os.File, how int) error {
	for {
		if err := unix.Flock(int(file.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
