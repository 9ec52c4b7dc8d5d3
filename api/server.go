package api

// HostRequest is what `dokku-agent apply` reads on its standard input. It answers with an
// event stream: version, plan, steps, verdict.
type HostRequest struct {
	Protocol int          `json:"protocol"`
	PlanOnly bool         `json:"plan_only,omitempty"` // say what would change, and change nothing
	Document HostDocument `json:"document"`
}

// HostDocument is what a host is to be: a server block of dokku.hcl.
type HostDocument struct {
	Server  string            `json:"server"` // the block's name
	Plugins []HostPlugin      `json:"plugins,omitempty"`
	Keys    []HostKey         `json:"keys,omitempty"`
	Apps    []string          `json:"apps,omitempty"`    // that exist
	Config  map[string]string `json:"config,omitempty"`  // global
	Domains *[]string         `json:"domains,omitempty"` // global; nil: not said
}

// HostPlugin is a plugin that is installed and enabled.
type HostPlugin struct {
	Name       string `json:"name"`
	URL        string `json:"url"`
	Committish string `json:"committish,omitempty"` // empty: whatever is there
}

// HostKey is a key that may use the host.
type HostKey struct {
	Name      string `json:"name"`
	PublicKey string `json:"public_key"` // one line of a .pub file
}
