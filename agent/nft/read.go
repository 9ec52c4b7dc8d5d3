package nft

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/dokku-push/dokku-push/agent"
)

// Leads tells where each app's addresses lead, in the order of the indexes. An address
// that leads nowhere is left out. It changes nothing.
func (m *Map) Leads(ctx context.Context) (map[string][]agent.Backend, error) {
	if err := Validate(m.Config); err != nil {
		return nil, err
	}
	type place struct {
		app   string
		index int
	}
	owners := map[netip.Addr]place{}
	err := m.book().change(func(e *entries) (bool, error) {
		for app, addresses := range e.Apps {
			for index, address := range addresses {
				owners[address] = place{app, index}
			}
		}
		return false, nil
	})
	leads := map[string][]agent.Backend{}
	if err != nil || len(owners) == 0 {
		return leads, err
	}
	answer, err := m.ask(ctx, Request{Verb: VerbRead})
	if err != nil {
		return nil, err
	}
	for _, element := range answer.Elements {
		if owner, ours := owners[element.From.Addr()]; ours {
			leads[owner.app] = append(leads[owner.app], agent.Backend{Index: owner.index, Address: element.To.Addr().String(), Port: int(element.To.Port())})
		}
	}
	for _, backends := range leads {
		slices.SortFunc(backends, func(a, b agent.Backend) int { return a.Index - b.Index })
	}
	return leads, nil
}

// Pointed is Leads of one app.
func (m *Map) Pointed(ctx context.Context, app string) ([]agent.Backend, error) {
	leads, err := m.Leads(ctx)
	return leads[app], err
}

// Unpoint removes the app's elements that lead to these backends. One that leads
// elsewhere by now stays.
func (m *Map) Unpoint(ctx context.Context, app string, backends []agent.Backend) error {
	elements, _, err := m.elements(map[string][]agent.Backend{app: backends})
	if err != nil {
		return err
	}
	_, err = m.do(ctx, Request{Verb: VerbUnpoint, Elements: elements})
	return err
}

// carryOut performs a request or, for the one that only reads, tells the elements.
func carryOut(ctx context.Context, config agent.MapConfig, request Request) (Answer, error) {
	if request.Verb != VerbRead {
		left, err := perform(ctx, config, request)
		return Answer{Left: left}, err
	}
	if err := request.check(config, nil); err != nil {
		return Answer{}, err
	}
	t, err := open(config)
	if err != nil {
		return Answer{}, err
	}
	now, err := t.elements()
	if errors.Is(err, fs.ErrNotExist) {
		return Answer{}, nil // a firewall's reload has flushed the table
	}
	var answer Answer
	for from, to := range now {
		answer.Elements = append(answer.Elements, Element{From: from, To: to})
	}
	return answer, err
}
