package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// savedUpload is an unfinished upload, in a file of its own in StateDir. That it
// is lost or wrong costs a fresh upload and nothing else, so that errors of
// these files are no errors of the transfer.
type savedUpload struct {
	Host     string `json:"host"`
	App      string `json:"app"`
	Digest   string `json:"digest"`
	Location string `json:"location"`
}

func (s *shipment) statePath(digest string) string {
	sum := sha256.Sum256([]byte(s.hostName() + "\x00" + s.app + "\x00" + digest))
	return filepath.Join(s.StateDir, "upload-"+hex.EncodeToString(sum[:16])+".json")
}

func (s *shipment) hostName() string {
	if s.Host != "" {
		return s.Host
	}
	return s.Base
}

// remembered is the address of an unfinished upload; empty when there is none.
func (s *shipment) remembered(digest string) string {
	if s.StateDir == "" {
		return ""
	}
	data, err := os.ReadFile(s.statePath(digest))
	if err != nil {
		return ""
	}
	var saved savedUpload
	if json.Unmarshal(data, &saved) != nil || saved.App != s.app || saved.Digest != digest || saved.Host != s.hostName() {
		return ""
	}
	base, err1 := url.Parse(s.Base)
	at, err2 := url.Parse(saved.Location)
	if err1 != nil || err2 != nil || at.Scheme != base.Scheme || at.Host != base.Host || !strings.HasPrefix(at.Path, "/v2/"+s.app+"/blobs/uploads/") {
		return ""
	}
	return saved.Location
}

func (s *shipment) remember(digest, location string) {
	if s.StateDir == "" {
		return
	}
	data, err := json.Marshal(savedUpload{Host: s.hostName(), App: s.app, Digest: digest, Location: location})
	if err != nil || os.MkdirAll(s.StateDir, 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(s.StateDir, ".upload-") // mode 0600
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if closeErr := f.Close(); err != nil || closeErr != nil {
		return
	}
	_ = os.Rename(f.Name(), s.statePath(digest))
}

func (s *shipment) forget(digest string) {
	if s.StateDir != "" {
		_ = os.Remove(s.statePath(digest))
	}
}
