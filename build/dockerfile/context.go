package dockerfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/config"
)

// contextHost is the engine of the docker context that `docker context use`
// or DOCKER_CONTEXT chose, or nothing. DOCKER_HOST wins over both, as it does for
// the docker program; many laptops have their engine only in a context.
func contextHost() string {
	if os.Getenv("DOCKER_HOST") != "" {
		return ""
	}
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" {
		name = config.LoadDefaultConfigFile(io.Discard).CurrentContext
	}
	if name == "" || name == "default" {
		return ""
	}
	folder := sha256.Sum256([]byte(name))
	text, err := os.ReadFile(filepath.Join(config.Dir(), "contexts", "meta", hex.EncodeToString(folder[:]), "meta.json"))
	if err != nil {
		return ""
	}
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if json.Unmarshal(text, &meta) != nil {
		return ""
	}
	return meta.Endpoints["docker"].Host
}
