package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// The targets (issue 5, point 10). They are printed beside what was measured; a time or an
// amount of memory fails no run, a count does.
const (
	targetFloor     = 1.5
	targetCrowd     = 1.2
	targetMemory    = 64 << 20
	targetProcesses = 30
	targetTrips     = 3
)

// BenchmarkDeploy deploys an image that is already built, by the agent and by engine calls
// alone, one after the other: each is timed from the request to the first answer of the
// new release through nginx.
func BenchmarkDeploy(b *testing.B) {
	s := newShelf(b)
	h := newHost(b, s, 0)
	f := newFloor(b, h, s.next(b))
	h.deploy(b, s.next(b)) // which loads the floor's site; the usual deploy loads none
	h.quiet(b)
	var agent, least []time.Duration
	steps, floorParts := timings{}, timings{}
	for b.Loop() {
		took, list := f.deploy(b, s.next(b))
		least = append(least, took)
		for _, p := range list {
			floorParts.add(p.name, p.took)
		}
		agent = append(agent, h.deploy(b, s.next(b)))
		for _, step := range h.steps(b) {
			steps.add(step.Name, time.Duration(step.DurationMS)*time.Millisecond)
		}
		h.quiet(b)
	}
	ratio := median(agent).Seconds() / median(least).Seconds()
	say("one-process app with a healthcheck, image in a local registry, %d deploys each, medians:", len(agent))
	say("  agent  %7s  (%s to %s)", ms(median(agent)), ms(slices.Min(agent)), ms(slices.Max(agent)))
	say("  floor  %7s  (%s to %s)", ms(median(least)), ms(slices.Min(least)), ms(slices.Max(least)))
	say("  ratio  %7.2f  (target at most %.1f); of each pair, the median is %.2f", ratio, targetFloor, pairs(agent, least))
	say("  agent, its steps by its own record: %s", steps.shares(median(agent)))
	say("  floor, its parts: %s", floorParts.shares(median(least)))
	b.ReportMetric(ms(median(agent)).number(), "ms/agent")
	b.ReportMetric(ms(median(least)).number(), "ms/floor")
	b.ReportMetric(ratio, "ratio")
}

// BenchmarkCrowd is the same deploy on hosts with 1, 100 and 1,000 other apps.
func BenchmarkCrowd(b *testing.B) {
	s := newShelf(b)
	sizes := []int{1, 100, 1000}
	hosts := make([]*host, len(sizes))
	for n, size := range sizes {
		hosts[n] = newHost(b, s, size)
	}
	took := make([][]time.Duration, len(sizes))
	steps := []timings{{}, {}, {}}
	for b.Loop() {
		for n, h := range hosts {
			took[n] = append(took[n], h.deploy(b, s.next(b)))
			for _, step := range h.steps(b) {
				steps[n].add(step.Name, time.Duration(step.DurationMS)*time.Millisecond)
			}
			h.quiet(b)
		}
	}
	say("the same deploy beside other apps, %d deploys each, medians:", len(took[0]))
	for n, size := range sizes {
		say("  %5d other apps  %7s  (%s to %s)  %s", size, ms(median(took[n])), ms(slices.Min(took[n])), ms(slices.Max(took[n])), steps[n].shares(median(took[n])))
		b.ReportMetric(ms(median(took[n])).number(), fmt.Sprintf("ms/%d-apps", size))
	}
	ratio := median(took[2]).Seconds() / median(took[0]).Seconds()
	say("  ratio 1,000 to 1  %.2f  (target at most %.1f); of each pair, the median is %.2f", ratio, targetCrowd, pairs(took[2], took[0]))
	b.ReportMetric(ratio, "ratio")
}

// BenchmarkFootprint counts the processes that a deploy starts and the memory that all
// processes of the agent hold together meanwhile. It is no measure of time: who samples
// memory slows down.
func BenchmarkFootprint(b *testing.B) {
	s := newShelf(b)
	h := newHost(b, s, 0)
	idle := measure(h.processes())
	var started []int
	programs := map[string]int{}
	for b.Loop() {
		image := s.next(b)
		count := countForks(b, h.processes())
		h.deploy(b, image)
		h.quiet(b)
		n, runs := count.stop()
		started = append(started, n)
		programs = runs
	}
	// Each sample reads every process's map: apart from the count, so that neither disturbs the other.
	stop := watchMemory(h.processes)
	for range max(len(started), 3) {
		h.deploy(b, s.next(b))
		h.quiet(b)
	}
	peak := stop()
	say("what a deploy takes on the host, the engine and nginx aside:")
	say("  processes started  %d to %d  (target at most %d): %s", slices.Min(started), slices.Max(started), targetProcesses, listed(programs))
	say("  peak memory        %.1f MiB in at most %d processes (target %d MiB): %.1f MiB of their own, and %.1f MiB of the program's file, which they share; %.1f MiB if that is counted in each",
		mib(peak.once()), peak.processes, targetMemory>>20, mib(peak.own), mib(peak.shared), mib(peak.resident))
	say("  when idle          %.1f MiB; %.1f MiB", mib(idle.once()), mib(idle.resident))
	if slices.Max(started) > targetProcesses {
		b.Errorf("a deploy started %d processes, want at most %d", slices.Max(started), targetProcesses)
	}
	b.ReportMetric(float64(slices.Max(started)), "processes")
	b.ReportMetric(mib(peak.once()), "MiB")
}

func listed(programs map[string]int) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		words = append(words, fmt.Sprintf("%d × %s", programs[name], name))
	}
	return strings.Join(words, ", ")
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// say prints a line of the report: the testing package would cut a benchmark's log short.
func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// ms is a time for people, in whole milliseconds.
type ms time.Duration

func (d ms) String() string  { return fmt.Sprintf("%d ms", time.Duration(d).Milliseconds()) }
func (d ms) number() float64 { return float64(time.Duration(d).Microseconds()) / 1000 }

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// pairs is the median of how many times longer one of a pair took than the other: they
// were timed one after the other, so that both had the same machine.
func pairs(list, to []time.Duration) float64 {
	ratios := make([]float64, len(list))
	for n := range list {
		ratios[n] = list[n].Seconds() / to[n].Seconds()
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// timings are the times of parts over several deploys, in the order in which they first came.
type timings struct {
	order []string
	took  map[string][]time.Duration
}

func (t *timings) add(name string, took time.Duration) {
	if t.took == nil {
		t.took = map[string][]time.Duration{}
	}
	if _, known := t.took[name]; !known {
		t.order = append(t.order, name)
	}
	t.took[name] = append(t.took[name], took)
}

// shares lists each part's median and its share of the whole.
func (t *timings) shares(whole time.Duration) string {
	var words []string
	for _, name := range t.order {
		one := median(t.took[name])
		words = append(words, fmt.Sprintf("%s %d ms (%.0f %%)", name, one.Milliseconds(), 100*one.Seconds()/whole.Seconds()))
	}
	return strings.Join(words, ", ")
}
