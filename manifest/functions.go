package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// maxMade is how many bytes all calls in one dokku.hcl may return together.
const maxMade = 16 << 20

// functions are those that dokku.hcl may call. None runs a program or reaches out
// of the project and the caller's environment.
func functions(fsys fs.FS, getenv func(string) (string, bool), lenient *bool) map[string]function.Function {
	b := &budget{left: maxMade}
	return map[string]function.Function{
		"env":       b.env(getenv, lenient),
		"file":      b.function(func(a []string) (string, error) { return readText(fsys, a[0]) }, "path"),
		"upper":     b.function(func(a []string) (string, error) { return strings.ToUpper(a[0]), nil }, "text"),
		"lower":     b.function(func(a []string) (string, error) { return strings.ToLower(a[0]), nil }, "text"),
		"trimspace": b.function(func(a []string) (string, error) { return strings.TrimSpace(a[0]), nil }, "text"),
		"replace":   b.function(b.replace, "text", "from", "to"),
		"join":      b.join(),
		"format":    b.format(),
	}
}

// budget is what calls may still return: without it a few lines would fill the
// memory.
type budget struct{ left int }

func (b *budget) fits(size int) error {
	if size > b.left {
		return fmt.Errorf("the results are larger than %d MiB together; put large values into files of the image", maxMade>>20)
	}
	return nil
}

func (b *budget) spend(text string) (cty.Value, error) {
	if err := b.fits(len(text)); err != nil {
		return cty.UnknownVal(cty.String), err
	}
	b.left -= len(text)
	return cty.StringVal(text), nil
}

// function makes a function of strings from call.
func (b *budget) function(call func([]string) (string, error), names ...string) function.Function {
	var params []function.Parameter
	for _, name := range names {
		params = append(params, function.Parameter{Name: name, Type: cty.String})
	}
	return function.New(&function.Spec{
		Params: params,
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			words := make([]string, len(args))
			for i, arg := range args {
				words[i] = arg.AsString()
			}
			text, err := call(words)
			if err != nil {
				return cty.UnknownVal(cty.String), err
			}
			return b.spend(text)
		},
	})
}

// env is the one function whose value may be unknown: of a variable that is not set,
// while lenient.
func (b *budget) env(getenv func(string) (string, bool), lenient *bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			text, err := lookup(getenv, args[0].AsString())
			switch {
			case err != nil && *lenient:
				return cty.UnknownVal(cty.String), nil
			case err != nil:
				return cty.UnknownVal(cty.String), err
			}
			return b.spend(text)
		},
	})
}

func lookup(getenv func(string) (string, bool), name string) (string, error) {
	if getenv != nil {
		if value, ok := getenv(name); ok {
			if !utf8.ValidString(value) {
				return "", fmt.Errorf("the environment's %s is not UTF-8; look at what the variable holds", show(name))
			}
			return value, nil
		}
	}
	return "", fmt.Errorf("%s is not set in the environment; set it for dokku-push, or write the value", show(name))
}

func (b *budget) replace(a []string) (string, error) {
	text, from, to := a[0], a[1], a[2]
	if from == "" {
		return "", errors.New("there is nothing to replace; write what to replace as the second argument")
	}
	if err := b.fits(len(text) + strings.Count(text, from)*len(to)); err != nil {
		return "", err
	}
	return strings.ReplaceAll(text, from, to), nil
}

func (b *budget) join() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "separator", Type: cty.String}, {Name: "list", Type: cty.List(cty.String)}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			separator, size := args[0].AsString(), 0
			var words []string
			for _, element := range args[1].AsValueSlice() {
				if element.IsNull() {
					return cty.UnknownVal(cty.String), errors.New("an element of the list is null; take it out")
				}
				words = append(words, element.AsString())
				size += len(element.AsString()) + len(separator)
			}
			if err := b.fits(size); err != nil {
				return cty.UnknownVal(cty.String), err
			}
			return b.spend(strings.Join(words, separator))
		},
	})
}

func (b *budget) format() function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{{Name: "format", Type: cty.String}},
		VarParam: &function.Parameter{Name: "arguments", Type: cty.DynamicPseudoType},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if err := b.formatFits(args[0].AsString(), args[1:]); err != nil {
				return cty.UnknownVal(cty.String), err
			}
			value, err := stdlib.Format(args[0], args[1:]...)
			if err != nil {
				return cty.UnknownVal(cty.String), errors.New("the arguments do not fit the text; write a verb for each: %s for text, %d for a whole number")
			}
			return b.spend(value.AsString())
		},
	})
}

// formatFits bounds what a format can print: each verb at most its width and the
// longest argument.
func (b *budget) formatFits(format string, args []cty.Value) error {
	const maxWidth = 999
	longest := 0
	for _, arg := range args {
		text, err := convert.Convert(arg, cty.String)
		if !arg.Type().IsPrimitiveType() || err != nil {
			return errors.New("an argument is a list or an object; write join(\", \", …) for a list")
		}
		longest = max(longest, len(text.AsString()))
	}
	digits := 0
	for _, c := range format {
		if digits++; c < '0' || c > '9' {
			digits = 0
		}
		if digits > len("999") {
			return fmt.Errorf("the format has a number over %d; write a smaller width", maxWidth)
		}
	}
	return b.fits(len(format) + strings.Count(format, "%")*(longest+maxWidth))
}
