package manifest

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

const minMemory = 6 << 20 // bytes: less no container of Docker's starts with

// value reads a scalar of an attribute's kind. It returns how Explain shows it, too.
func (r *hclReader) value(a *attribute, n node, o opened) (value, string, bool) {
	written, ok := "", false
	switch a.kind {
	case aText:
		written, ok = r.textOf(a.name, n, o)
	case aNumber, aDecimal, aTime:
		written, ok = r.converted(a, n, o, cty.Number, cty.String)
	case aTruth:
		written, ok = r.converted(a, n, o, cty.Bool, cty.String)
	default:
		written, ok = r.converted(a, n, o, cty.String)
	}
	if !ok {
		return value{}, "", false
	}
	v, problem, hint := a.parse(written)
	if problem != "" {
		if o.env {
			problem, hint = unfit()
		} else {
			problem = " " + problem
		}
		r.mistake(n.at, a.name+problem, hint)
		return value{}, "", false
	}
	return v, written, true
}

func (r *hclReader) textOf(name string, n node, o opened) (string, bool) {
	if o.kind != isScalar || o.value.IsNull() || o.value.Type() != cty.String {
		r.mistake(n.at, name+" is not a string", "write it in double quotes")
		return "", false
	}
	return o.value.AsString(), true
}

// converted returns a value of one of the types as text.
func (r *hclReader) converted(a *attribute, n node, o opened, types ...cty.Type) (string, bool) {
	if o.kind == isScalar && !o.value.IsNull() && slices.Contains(types, o.value.Type()) {
		if written, err := convert.Convert(o.value, cty.String); err == nil {
			return written.AsString(), true
		}
	}
	is, hint := a.wanted()
	r.mistake(n.at, a.name+" is not "+is, hint)
	return "", false
}

// wanted says what an attribute's values are, and how one is written.
func (a *attribute) wanted() (is, hint string) {
	switch a.kind {
	case aNumber:
		return "a number", "write " + a.between()
	case aDecimal:
		return "a number", "write a number of CPUs, such as 0.5"
	case aTruth:
		return "true or false", "write true or false, without quotes"
	case aSize:
		return "a string", "write a size with its unit, such as \"512m\""
	case aTime:
		return "a time", "write one such as \"30s\", or a whole number of seconds"
	}
	return "a string", "write it in double quotes"
}

func (a *attribute) between() string {
	return fmt.Sprintf("a whole number from %d to %d", a.low, a.high)
}

// parse makes a value of a text: what a file says, a flag or a variable.
func (a *attribute) parse(written string) (v value, problem, hint string) {
	switch a.kind {
	case aText, aMap:
		if len(a.words) > 0 && a.kind == aText && !slices.Contains(a.words, written) {
			return v, "is " + show(written), didYouMean(written, slices.Clone(a.words))
		}
		if a.check != nil {
			problem, hint = a.check(written)
		}
		return value{text: written}, problem, hint
	case aNumber:
		n, err := strconv.Atoi(written)
		if err != nil || strconv.Itoa(n) != written || n < a.low || n > a.high {
			return v, "is " + show(written), "write " + a.between()
		}
		return value{number: int64(n)}, "", ""
	case aDecimal:
		return parseDecimal(written, a.high)
	case aTruth:
		if written != "true" && written != "false" {
			return v, "is " + show(written), "write true or false"
		}
		return value{truth: written == "true"}, "", ""
	case aSize:
		return parseSize(written, a.low)
	case aTime:
		return parseSeconds(written, a.low, a.high)
	}
	for element := range strings.SplitSeq(written, ",") { // a list, as a flag carries it
		element = strings.TrimSpace(element)
		if element == "" {
			continue
		}
		if problem, hint = a.checkElement(element); problem != "" {
			return v, "has an element: " + problem, hint
		}
		v.list = append(v.list, element)
	}
	if a.all != nil {
		_, problem, hint = a.all(v.list)
	}
	return v, problem, hint
}

// checkElement looks at an element of a list.
func (a *attribute) checkElement(element string) (problem, hint string) {
	if a.check == nil {
		return "", ""
	}
	problem, hint = a.check(element)
	if problem != "" && !a.full && !strings.HasPrefix(problem, "process type") {
		problem = show(element) + " " + problem
	}
	return problem, hint
}

// checkEntry looks at a value of a map. The problem follows the key.
func (a *attribute) checkEntry(key, written string) (problem, hint string) {
	if problem, hint = checkValue(written); problem != "" {
		return ": " + problem, hint
	}
	if a.entry != nil {
		if problem, hint = a.entry(key, written); problem != "" {
			return " " + problem, hint
		}
	}
	return "", ""
}

var decimalForm = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,9})?$`)

func parseDecimal(written string, high int) (v value, problem, hint string) {
	n, err := strconv.ParseFloat(written, 64)
	if !decimalForm.MatchString(written) || err != nil || n < 0.01 || n > float64(high) {
		return v, "is " + show(written), fmt.Sprintf("write a number of CPUs from 0.01 to %d, such as 0.5", high)
	}
	return value{text: written}, "", ""
}

var sizeForm = regexp.MustCompile(`^([0-9]{1,15})([bkmgt])(i?b)?$`)

func parseSize(written string, low int) (v value, problem, hint string) {
	const write = "write a size such as 512m or 2g"
	parts := sizeForm.FindStringSubmatch(strings.ToLower(written))
	if parts == nil {
		if decimalForm.MatchString(written) {
			return v, "has no unit", "write " + written + "m if megabytes are meant"
		}
		return v, "is " + show(written), write
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	shift := map[string]int{"b": 0, "k": 10, "m": 20, "g": 30, "t": 40}[parts[2]]
	if err != nil || n > math.MaxInt64>>shift {
		return v, "is larger than any machine", write
	}
	if n <<= shift; n < int64(low) {
		return v, "is less than a container needs to start", fmt.Sprintf("write %dm or more", low>>20)
	}
	return value{number: n}, "", ""
}

func parseSeconds(written string, low, high int) (v value, problem, hint string) {
	const write = "write a time such as 30s, 5m or 2h, or a whole number of seconds"
	n, err := strconv.ParseInt(written, 10, 64)
	if err != nil {
		var d time.Duration
		if d, err = parseDuration(written); err == nil && d%time.Second != 0 {
			return v, "is " + show(written) + ", which is not whole seconds", write
		}
		n = int64(d / time.Second)
	}
	switch {
	case err != nil:
		return v, "is " + show(written), write
	case n < int64(low):
		return v, "is " + show(written), fmt.Sprintf("write at least %s", time.Duration(low)*time.Second)
	case n > int64(high):
		return v, "is " + show(written), fmt.Sprintf("write at most %s", time.Duration(high)*time.Second)
	}
	return value{number: n}, "", ""
}

// parseDuration takes days, which Go does not.
func parseDuration(written string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(written, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(written)
	if err == nil && (d < 0 || strings.HasPrefix(written, "+")) {
		return 0, strconv.ErrRange
	}
	return d, err
}

// secretWords are parts of names whose values people keep to themselves.
var secretWords = [...]string{"SECRET", "TOKEN", "PASSW", "PRIVATE", "CREDENTIAL", "API_KEY", "APIKEY", "ACCESS_KEY", "AUTH", "SALT", "DSN"}

var credentialsForm = regexp.MustCompile(`://[^/\s:@]*:[^/\s@]+@`)

// looksSecret says whether a value had better not be shown.
func looksSecret(key, text string) bool {
	upper := strings.ToUpper(key)
	for _, word := range secretWords {
		if strings.Contains(upper, word) {
			return true
		}
	}
	return credentialsForm.MatchString(text)
}

// openSecret says whether a value is a secret that was written down: what looksSecret
// says, but for what is too short or too plain to be one.
func openSecret(key, text string) bool {
	if credentialsForm.MatchString(text) {
		return true
	}
	upper := strings.ToUpper(key)
	named := false
	for _, word := range [...]string{"SECRET", "TOKEN", "PASSWORD", "PRIVATE_KEY", "API_KEY", "ACCESS_KEY"} {
		named = named || strings.HasSuffix(upper, word)
	}
	return named && len(text) >= 6 && text != "false"
}
