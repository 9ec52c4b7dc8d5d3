// Package e2e is what must be seen: whole pushes of real apps, by the real programs, to
// hosts with a real engine and a real nginx. It has tests only.
package e2e
