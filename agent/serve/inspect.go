package serve

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/agent/doctor"
	"github.com/dokku-push/dokku-push/api"
)

// drift compares an app's release with what runs.
func (s *Server) drift(w http.ResponseWriter, r *http.Request, app string) {
	found, err := s.Host.Drift(r.Context(), app)
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	answer(w, found)
}

// doctor examines the host. It stands for apps:list, and tells of no app that the
// caller may not see.
func (s *Server) doctor(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	if err := s.Host.May(r.Context(), s.By, "", "apps:list"); err != nil {
		refuse(w, http.StatusForbidden, err)
		return
	}
	examined, err := s.examination(r.Context())
	if err != nil {
		refuse(w, statusOf(err), err)
		return
	}
	examined.Now = arrived
	if text := r.Header.Get(api.TimeHeader); text != "" {
		if examined.Client, err = time.Parse(time.RFC3339Nano, text); err != nil {
			refuse(w, http.StatusBadRequest, api.Errorf(api.Usage, "read the request", "the header %s holds no time", api.TimeHeader))
			return
		}
	}
	answer(w, examined.Examine(r.Context()))
}

// examination prepares a doctor for the apps that the caller may see.
func (s *Server) examination(ctx context.Context) (*doctor.Doctor, error) {
	all, err := s.Host.Settings.Apps()
	if err != nil {
		return nil, fmt.Errorf("list the apps: %w", err)
	}
	visible, err := s.Host.Visible(ctx, s.By, all)
	if err != nil {
		return nil, err
	}
	apps := map[string]agent.Settings{}
	for _, app := range visible {
		if apps[app], err = s.Host.Settings.Read(app); err != nil {
			return nil, fmt.Errorf("read the settings of %s: %w", app, err)
		}
	}
	examined := doctor.New(s.Host, apps)
	examined.Leftovers = func(ctx context.Context) ([]agent.Leftover, error) {
		left, err := s.Host.Leftovers(ctx)
		if err != nil {
			return nil, err
		}
		var names []string
		for _, one := range left {
			names = append(names, one.App)
		}
		names, err = s.Host.Visible(ctx, s.By, slices.Compact(names))
		return slices.DeleteFunc(left, func(one agent.Leftover) bool { return !slices.Contains(names, one.App) }), err
	}
	return examined, nil
}
