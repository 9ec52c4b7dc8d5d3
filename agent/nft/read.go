package nft

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/dokku-push/dokku-push/agent"
)

// Pointed returns where the app's addresses lead, in the order of the indexes. An
// address that leads nowhere is left out. It changes nothing.
func (m *Map) Pointed(ctx context.Context, app string) ([]agent.Backend, error) {
	if err := Validate(m.Config); err != nil {
		return nil, err
	}
	indexes := map[netip.Addr]int{}
	err := m.book().change(func(e *entries) (bool, error) {
		for index, address := range e.Apps[app] {
			indexes[address] = index
		}
		return false, nil
	})
	if err != nil || len(indexes) == 0 {
		return nil, err
	}
	answer, err := m.ask(ctx, Request{Verb: VerbRead})
	if err != nil {
		return nil, err
	}
	var backends []agent.Backend
	for _, element := range answer.Elements {
		if index, ours := indexes[element.From.Addr()]; ours {
			backends = append(backends, agent.Backend{Index: index, Address: element.To.Addr().String(), Port: int(element.To.Port())})
		}
	}
	slices.SortFunc(backends, func(a, b agent.Backend) int { return a.Index - b.Index })
	return backends, nil
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
