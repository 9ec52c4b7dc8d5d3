package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dokku-push/dokku-push/api"
)

// ParsePortMap reads scheme:host:container (PLUGIN-CONTRACT 6.3).
func ParsePortMap(text string) (PortMap, error) {
	bad := func(why string) (PortMap, error) {
		return PortMap{}, api.Errorf(api.Usage, "read the port map", "%q: %s", text, why).
			WithHint("write scheme:host-port:container-port, as http:80:5000")
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return bad("it has not three parts")
	}
	if !slices.Contains([]string{"http", "https", "grpc", "grpcs", "tcp", "udp"}, parts[0]) {
		return bad("unknown scheme " + strconv.Quote(parts[0]))
	}
	var ports [2]int
	for i, part := range parts[1:] {
		port, err := strconv.Atoi(part)
		if err != nil || port < 1 || port > 65535 || strconv.Itoa(port) != part {
			return bad("a port is a number from 1 to 65535")
		}
		ports[i] = port
	}
	return PortMap{Scheme: parts[0], Host: ports[0], Container: ports[1]}, nil
}

func (p PortMap) String() string {
	return fmt.Sprintf("%s:%d:%d", p.Scheme, p.Host, p.Container)
}

// portMaps returns the app's port map: the one that was set, else the detected one.
func portMaps(settings Settings) ([]PortMap, error) {
	texts := settings.Ports
	if len(texts) == 0 {
		texts = settings.detectedPorts()
	}
	var maps []PortMap
	for _, text := range texts {
		one, err := ParsePortMap(text)
		if err != nil {
			return nil, err
		}
		maps = append(maps, one)
	}
	return maps, nil
}

// portMaps is portMaps for settings that the host's own complete.
func (h *Host) portMaps(settings Settings) ([]PortMap, error) { return portMaps(h.inherit(settings)) }

// usualPort is what an app without a port map serves.
const usualPort = "http:80:5000"

// detectedPorts are those that an app serves of itself. proxy:set may move the usual ports.
func (s Settings) detectedPorts() []string {
	texts := strings.Fields(s.Properties["ports/map-detected"])
	if len(texts) == 0 {
		texts = []string{usualPort}
	}
	for _, moved := range []struct{ from, property string }{{"http:80:", "proxy/proxy-port"}, {"https:443:", "proxy/proxy-ssl-port"}} {
		port := s.Properties[moved.property]
		for n, text := range texts {
			if rest, usual := strings.CutPrefix(text, moved.from); usual && port != "" {
				scheme, _, _ := strings.Cut(moved.from, ":")
				texts[n] = scheme + ":" + port + ":" + rest
			}
		}
	}
	return texts
}

// withTwins gives each http:80:X its https:443:X, unless 443 is served already.
func withTwins(ports []string) []string {
	if slices.ContainsFunc(ports, isTwin) {
		return ports
	}
	twins := slices.Clone(ports)
	for _, port := range ports {
		if container, usual := strings.CutPrefix(port, "http:80:"); usual {
			twins = append(twins, "https:443:"+container)
		}
	}
	return twins
}

func withoutTwins(ports []string) []string { return slices.DeleteFunc(slices.Clone(ports), isTwin) }

func isTwin(port string) bool { return strings.HasPrefix(port, "https:443:") }

// hasTLS tells whether the app has a certificate.
func (h *Host) hasTLS(app string) bool {
	for _, file := range []string{certificateFile, keyFile} {
		if _, err := os.Stat(filepath.Join(h.Places.TLS(app), file)); err != nil {
			return false
		}
	}
	return true
}

// webPort is PORT of the web containers: the first container port that is not udp.
func webPort(ports []PortMap) int {
	for _, port := range ports {
		if port.Scheme != "udp" {
			return port.Container
		}
	}
	return 5000
}

// urls are where people find the app, most secure first.
func (h *Host) urls(app string, settings Settings) []string {
	ports, err := h.portMaps(settings)
	if err != nil {
		return nil
	}
	var urls []string
	for _, scheme := range []string{"https", "http"} {
		for _, port := range ports {
			if port.Scheme != scheme {
				continue
			}
			for _, domain := range settings.siteDomains() {
				urls = append(urls, scheme+"://"+domain+h.portSuffix(scheme, port.Host))
			}
		}
	}
	return urls
}

// served are the urls of a release with these settings: none where no web container
// answers at them.
func (h *Host) served(app string, settings Settings) []string {
	if settings.Scale["web"] == 0 {
		return nil
	}
	return h.urls(app, settings)
}

// portSuffix is empty for the port that browsers assume. A host that cannot have
// 80 and 443 serves them elsewhere.
func (h *Host) portSuffix(scheme string, port int) string {
	usual := map[string]int{"http": 80, "https": 443}[scheme]
	if port == usual {
		switch served := map[string]int{"http": h.Config.Nginx.Port, "https": h.Config.Nginx.TLSPort}[scheme]; {
		case served == 0 || served == usual:
			return ""
		default:
			port = served
		}
	}
	return ":" + strconv.Itoa(port)
}

// Addresses are URLs, or what plugins say instead: kind is url or urls, as app-urls is told.
func (h *Host) Addresses(ctx context.Context, app, kind string) ([]string, error) {
	said, err := h.Ask(ctx, "app-urls", app, kind)
	if err != nil || said != "" {
		return strings.Fields(said), err
	}
	return h.URLs(app)
}

// address finds the addresses that a deploy tells. A plugin that fails keeps nobody from them.
func (r *run) address(ctx context.Context) error {
	r.urls = r.Host.served(r.change.App, r.settings)
	said, err := r.ask(ctx, api.HookFailed, "app-urls", r.change.App, "urls")
	if err == nil && strings.TrimSpace(said) != "" {
		r.urls = strings.Fields(said)
	}
	return err
}

// URLs are where people find the app, most secure first.
func (h *Host) URLs(app string) ([]string, error) {
	settings, err := h.Settings.Read(app)
	if err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	return h.urls(app, settings), nil
}
