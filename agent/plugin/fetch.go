package plugin

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// fetch brings a plugin's files into dir, which is not there yet, and makes sure that they
// are a plugin.
func (m *Manager) fetch(ctx context.Context, op string, from source, committish, name, dir string) error {
	if err := m.bring(ctx, op, from, committish, dir); err != nil {
		return err
	}
	if err := inspect(op, dir, name); err != nil {
		return err
	}
	_, err := describe(op, dir, name)
	return err
}

func (m *Manager) bring(ctx context.Context, op string, from source, committish, dir string) error {
	if from.kind != repository && committish != "" {
		return api.Errorf(api.Usage, op, "only a git repository has a committish")
	}
	switch from.kind {
	case repository:
		if _, err := git(ctx, "clone", "--quiet", "--no-recurse-submodules", "--template=", "--", from.from, dir); err != nil {
			return err
		}
		if committish == "" {
			return nil
		}
		return pin(ctx, dir, committish)
	case download:
		return m.download(ctx, op, from.from, dir)
	case archive:
		file, err := os.Open(from.from)
		if err != nil {
			return api.Errorf(api.Precondition, op, "%w", err)
		}
		defer file.Close()
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		return unpack(op, file, filepath.Base(from.from), dir)
	}
	info, err := os.Stat(from.from)
	if err != nil {
		return api.Errorf(api.Precondition, op, "%w", err)
	}
	if !info.IsDir() {
		return api.Errorf(api.Usage, op, "%s is no folder", from.from).WithHint("an archive is named .tar.gz")
	}
	if err := inspect(op, from.from, from.from); err != nil {
		return err
	}
	return copyTree(op, from.from, dir)
}

// download unpacks an archive while it is read.
func (m *Manager) download(ctx context.Context, op, address, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, mostGit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return api.Errorf(api.Usage, op, "%w", err)
	}
	response, err := m.client().Do(request)
	if err != nil {
		return api.Errorf(api.Precondition, op, "%w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return api.Errorf(api.Precondition, op, "%s answers %s", address, response.Status)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return unpack(op, response.Body, filepath.Base(request.URL.Path), dir)
}

// client follows redirects only to where nobody on the way can change what comes.
func (m *Manager) client() *http.Client {
	client := &http.Client{Timeout: mostGit}
	if m.Client != nil {
		client.Transport = m.Client.Transport
	}
	client.CheckRedirect = func(request *http.Request, via []*http.Request) error {
		if request.URL.Scheme != "https" && !isLoopback(request.URL.Hostname()) {
			return fmt.Errorf("it leads to %s, which is not https", request.URL.Redacted())
		}
		if len(via) > 9 {
			return fmt.Errorf("it was led on %d times", len(via))
		}
		return nil
	}
	if client.Transport == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = time.Minute
		client.Transport = transport
	}
	return client
}
