// Package cron is the commands that apps run at times: it reads app.json's cron of each
// current release, knows when an entry is due, and starts it in a container of the app.
// Nothing of an app's ever runs on the host itself. Who calls it once a minute is the
// watch.
package cron

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Schedule is five fields of a crontab, read: which minutes, hours, days, months and days
// of the week.
type Schedule struct {
	fields [5]uint64 // a bit for each number
	anyDay bool      // the day of the month or that of the week is *
}

// words are what stands for five fields.
var words = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// field is what one of the five may hold.
type field struct {
	name      string
	low, high int
	names     []string // for low and up
}

var fields = [5]field{
	{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of the month", 1, 31, nil},
	{"month", 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{"day of the week", 0, 7, strings.Fields("sun mon tue wed thu fri sat")},
}

// Parse reads a schedule: five fields, or a word such as @daily.
func Parse(text string) (Schedule, error) {
	if five, ok := words[text]; ok {
		text = five
	}
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return Schedule{}, fmt.Errorf("%q is no schedule of five fields", text)
	}
	var schedule Schedule
	for n, part := range parts {
		bits, err := fields[n].parse(part)
		if err != nil {
			return Schedule{}, err
		}
		schedule.fields[n] = bits
	}
	if schedule.fields[4]&(1<<7) != 0 { // 7 is Sunday too
		schedule.fields[4] |= 1
	}
	star := func(part string) bool { return part[0] == '*' || part[0] == '?' }
	schedule.anyDay = star(parts[2]) || star(parts[4])
	return schedule, nil
}

// parse reads one field: *, numbers, names, ranges, steps and lists of them.
func (f field) parse(text string) (bits uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(part, "/")
		every := 1
		if stepped {
			if every, err = strconv.Atoi(step); err != nil || every < 1 || every > f.high {
				return 0, f.wrong(text)
			}
		}
		first, last, ranged := strings.Cut(span, "-")
		low, high := f.low, f.high
		if span != "*" && span != "?" {
			var ok bool
			if low, ok = f.number(first); !ok {
				return 0, f.wrong(text)
			}
			switch {
			case ranged:
				if high, ok = f.number(last); !ok || high < low {
					return 0, f.wrong(text)
				}
			case !stepped:
				high = low
			}
		}
		for n := low; n <= high; n += every {
			bits |= 1 << n
		}
	}
	return bits, nil
}

func (f field) wrong(text string) error { return fmt.Errorf("%q is no %s", text, f.name) }

func (f field) number(text string) (int, bool) {
	if n := slices.Index(f.names, strings.ToLower(text)); n >= 0 {
		return f.low + n, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= f.low && n <= f.high && !strings.HasPrefix(text, "+")
}

// Due tells whether the schedule names the minute of a time, in that time's zone. As in
// every crontab, a day of the month and a day of the week that are both said are either
// of the two.
func (s Schedule) Due(at time.Time) bool {
	has := func(n, value int) bool { return s.fields[n]&(1<<value) != 0 }
	if !has(0, at.Minute()) || !has(1, at.Hour()) || !has(3, int(at.Month())) {
		return false
	}
	day, week := has(2, at.Day()), has(4, int(at.Weekday()))
	if s.anyDay {
		return day && week
	}
	return day || week
}
