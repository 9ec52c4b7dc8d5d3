// Package bench measures what is claimed about speed, memory and processes, on the real
// parts and side by side in one run: `make bench`. It holds benchmarks alone; none of them
// fails because something took long. docs/bench.md says what is measured and how.
package bench
