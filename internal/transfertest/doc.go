// Package transfertest proves the layer transfer with both of its ends: the
// client of package remote against the agent's store, against a registry and
// against a real engine. It holds tests alone, because neither end may import
// the other.
package transfertest
