package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// How long one name may take to resolve, and how many are asked for at a time.
const (
	lookup  = 2 * time.Second
	lookups = 64
)

func resolve(ctx context.Context, domain string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", domain)
}

// addresses are this machine's own.
func addresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, entry := range list {
		if prefix, err := netip.ParsePrefix(entry.String()); err == nil {
			own = append(own, prefix.Addr().Unmap())
		}
	}
	return own, nil
}

// domains asks where the apps' domains lead. That is advice and never a failure: behind
// a load balancer, or before a move, they lead elsewhere on purpose.
func (d *Doctor) domains(ctx context.Context) []api.HealthFinding {
	own, err := d.Addresses()
	if err != nil {
		return unknown(api.HealthDomains, err)
	}
	type question struct{ app, domain string }
	var questions []question
	for _, app := range d.appNames() {
		for _, domain := range d.Apps[app].Domains {
			if resolvable(domain) {
				questions = append(questions, question{app, domain})
			}
		}
	}
	problems := make([]*api.HealthFinding, len(questions))
	turns := make(chan struct{}, lookups)
	var wait sync.WaitGroup
	for n, q := range questions {
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			problems[n] = d.domain(ctx, q.app, q.domain, own)
		})
	}
	wait.Wait()
	var findings []api.HealthFinding
	for _, problem := range problems {
		if problem != nil {
			findings = append(findings, *problem)
		}
	}
	if len(questions) == 0 {
		return []api.HealthFinding{fine(api.HealthDomains, "no app has a domain that is looked up")}
	}
	return orFine(findings, api.HealthDomains, "%s, all of which lead here", plural(len(questions), "domain", "domains"))
}

// resolvable leaves out patterns, and names that lead to this machine by definition
// (RFC 6761).
func resolvable(domain string) bool {
	return !strings.Contains(domain, "*") && domain != "localhost" && !strings.HasSuffix(domain, ".localhost")
}

func (d *Doctor) domain(ctx context.Context, app, domain string, own []netip.Addr) *api.HealthFinding {
	ctx, cancel := context.WithTimeout(ctx, lookup)
	defer cancel()
	found, err := d.Resolve(ctx, domain)
	if err != nil || len(found) == 0 {
		why := "it has no address"
		if err != nil {
			why = err.Error()
		}
		problem := warn(api.HealthDomains, "make a DNS record for it, or domains:remove "+app+" "+domain, "%s: %s does not resolve: %s", app, domain, why)
		return &problem
	}
	if slices.ContainsFunc(found, func(address netip.Addr) bool { return slices.Contains(own, address.Unmap()) }) {
		return nil
	}
	problem := warn(api.HealthDomains, "that is as it should be behind a load balancer or NAT", "%s: %s leads to %s, which is no address of this host", app, domain, fmt.Sprint(found[0].Unmap()))
	return &problem
}
