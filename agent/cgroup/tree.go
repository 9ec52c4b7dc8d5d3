// Package cgroup makes one of the kernel's control groups: a folder of processes that share
// a limit of memory and a part of the processor. It knows both forms of the hierarchy, the
// unified one (v2) and a hierarchy for each resource (v1). It starts nothing, and of the
// groups of others it changes none.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is where a machine has its control groups.
type Tree struct {
	Memory, CPU string   // the folders in which a group with such a limit is made; the same one when unified
	Unified     bool     // v2
	All         []string // every hierarchy: what runs containers makes its groups in each
}

// Find looks where this machine has them. The error says in words what is missing.
func Find() (Tree, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Tree{}, fmt.Errorf("look for control groups: %w", err)
	}
	return parse(string(text))
}

// parse reads the kernel's list of mounts. Where a controller is in a hierarchy of its own
// it is not in the unified one, so the former decide.
func parse(mounts string) (Tree, error) {
	var tree Tree
	unified := ""
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if len(place) < 5 || len(kind) < 3 || kind[0] != "cgroup" && kind[0] != "cgroup2" {
			continue
		}
		root, dir := place[3], place[4]
		if root != "/" || slices.Contains(tree.All, dir) {
			continue // a part of the hierarchy, shown to a container under another name
		}
		tree.All = append(tree.All, dir)
		if kind[0] == "cgroup2" {
			unified = dir
			continue
		}
		controllers := strings.Split(kind[2], ",")
		if tree.Memory == "" && slices.Contains(controllers, "memory") {
			tree.Memory = dir
		}
		if tree.CPU == "" && slices.Contains(controllers, "cpu") {
			tree.CPU = dir
		}
	}
	if tree.Memory == "" && tree.CPU == "" && unified != "" {
		tree.Memory, tree.CPU, tree.Unified = unified, unified, true
		return tree, tree.unifiedHas("memory", "cpu")
	}
	if tree.Memory == "" || tree.CPU == "" {
		return tree, errors.New("this machine has no control groups for memory and cpu")
	}
	return tree, nil
}

// unifiedHas tells whether the root of the unified hierarchy offers controllers.
func (t Tree) unifiedHas(names ...string) error {
	text, err := os.ReadFile(filepath.Join(t.Memory, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("look for control groups: %w", err)
	}
	for _, name := range names {
		if !slices.Contains(strings.Fields(string(text)), name) {
			return fmt.Errorf("the kernel offers no control groups for %s in %s", name, t.Memory)
		}
	}
	return nil
}

// limiting are the folders with limits: one or two.
func (t Tree) limiting() []string { return slices.Compact([]string{t.Memory, t.CPU}) }
