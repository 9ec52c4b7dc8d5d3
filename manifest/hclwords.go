package manifest

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/function"
)

// wording is how a mistake that the parser of HCL finds is told here.
type wording struct{ message, hint string }

// wordings are ours by the parser's summaries. What is not among them is told in the
// parser's words.
func wordings() map[string]wording {
	const value = "write one: text in double quotes, a number, true, false, [ … ] or { … }"
	const quote = "text stands in double quotes, in one line; several lines stand between <<EOT and EOT"
	const closing = "each { [ ( and \" has its counterpart"
	const control = "write %{ if CONDITION }…%{ else }…%{ endif }, or %%{ for a plain %{"
	strange := wording{strangeExpression, writeOut}
	return map[string]wording{
		"Attribute redefined":                             {"%s stands twice", "keep one of the two"},
		"Missing expression":                              {"there is no value", value},
		"Invalid expression":                              {"this is no value", value},
		"Invalid multi-line string":                       {"a text goes over the end of the line", quote},
		"Unterminated template string":                    {"a text does not end", quote},
		"Unterminated string literal":                     {"a text does not end", quote},
		"Invalid string literal":                          {"this is no text", quote},
		"Invalid escape sequence":                         {"a \\ in a text begins no known escape", "write \\\\ for a backslash; \\n, \\t, \\\" and \\uXXXX are known"},
		"Missing newline after argument":                  {"there is more on the line", "write each attribute on a line of its own"},
		"Missing newline after block definition":          {"there is more on the line after the block", "begin a new line after }"},
		"Invalid single-argument block definition":        {"a block in one line holds one attribute", "write each attribute on a line of its own"},
		"Argument definition required":                    {"a block stands in a block of one line", "write each on a line of its own"},
		"Argument or block definition required":           {"the line is neither an attribute nor a block", "write NAME = value, or NAME { … }"},
		"Invalid argument name":                           {"the line is neither an attribute nor a block", "write NAME = value, without quotes around the name"},
		"Invalid block definition":                        {"the block has no {", "write NAME { … } or NAME \"LABEL\" { … }"},
		"Unclosed configuration block":                    {"the block is not closed", "write } after what it holds"},
		"Unclosed configuration body":                     {"the block is not closed", "write } after what it holds"},
		"Invalid character":                               {"this character means nothing here", "text stands in double quotes"},
		"Missing item separator":                          {"there is no comma between two elements", "write a comma after each"},
		"Missing attribute separator":                     {"there is no comma or new line between two entries", "write each on a line of its own"},
		"Missing key/value separator":                     {"there is no = after the key", "write NAME = value"},
		"Missing attribute value":                         {"there is no value after the key", "write NAME = value"},
		"Unterminated object constructor expression":      {"a { is not closed", closing},
		"Unterminated tuple constructor expression":       {"a [ is not closed", closing},
		"Unterminated function call":                      {"a ( is not closed", closing},
		"Unbalanced parentheses":                          {"a ( is not closed", closing},
		"Unclosed template interpolation sequence":        {"a ${ is not closed", "write } after it, or $${ for a plain ${"},
		"Extra characters after interpolation expression": {"there is more than one value between ${ and }", "write $${ for a plain ${"},
		"Call to unknown function":                        {"there is no function %s", "known here: " + strings.Join(functionNames(), ", ")},
		"Not enough function arguments":                   {"the function is given too little", "env(\"NAME\"), file(\"path\"), replace(text, from, to), join(separator, list)"},
		"Too many function arguments":                     {"the function is given too much", "env(\"NAME\"), file(\"path\"), replace(text, from, to), join(separator, list)"},
		"Invalid function argument":                       {"the function is given what it does not take", "it takes text, in double quotes"},
		"Inconsistent conditional result types":           {"the two sides of : are of different kinds", "write two texts, or two lists"},
		"Incorrect condition type":                        {"what stands before ? is neither true nor false", "write a comparison, such as env(\"STAGE\") == \"production\""},
		"Invalid operand":                                 {"the two cannot be compared so", "compare text with text"},
		"Invalid template interpolation value":            {"what stands between ${ and } is no text", "write a text, a number, true or false there"},
		"Unsupported operator":                            {"the operator is not known", "== != && || ! and ? : are"},
		"Null condition":                                  {"what stands before ? is null", "write a comparison"},
		"Invalid object key":                              {"this is no key", "write NAME = value"},
		"Null value as key":                               {"a key is null", "write NAME = value"},
		"Ambiguous attribute key":                         {"this is no key", "write the key in double quotes"},
		"Extra characters after expression":               {"there is more after the value", "write one value"},
		"Unexpected comma after argument":                 {"a comma stands behind the value", "end the line without it"},
		"Missing argument separator":                      {"there is no comma between two arguments", "write a comma after each"},
		"Missing closing parenthesis":                     {"a ( is not closed", closing},
		"Missing function name":                           {"this is no call of a function", "known here: " + strings.Join(functionNames(), ", ")},
		"Missing open parenthesis":                        {"this is no call of a function", "known here: " + strings.Join(functionNames(), ", ")},
		"Missing false expression in conditional":         {"there is no : after what ? chooses", "write CONDITION ? VALUE : OTHER"},
		"Invalid number literal":                          {"this is no number", "write it in double quotes if it is meant as text"},
		"Invalid expanding argument value":                {"the function is given what it does not take", "it takes text, in double quotes"},
		"Incorrect key type":                              {"this is no key", "write NAME = value"},
		"Operation failed":                                {"the two cannot be compared so", "compare text with text"},
		"Unexpected end of template":                      {"a %{ if } does not end", control},
		"Unexpected else directive":                       {"the %{ else } belongs to no %{ if }", control},
		"Unexpected endif directive":                      {"the %{ endif } belongs to no %{ if }", control},
		"Unexpected endfor directive":                     {"there is no %{ for } in dokku.hcl", control},
		"Invalid template control keyword":                {"%{ is followed by no word that it knows", control},
		"Invalid template directive":                      {"%{ is followed by no word that it knows", control},
		"Invalid 'for' directive":                         strange, "Invalid 'for' expression": strange, "Invalid 'for' condition": strange, "Variable name required": strange,
		"Attribute name required": strange, "Invalid attribute name": strange, "Index value required": strange, "Unclosed index brackets": strange, "Invalid legacy index syntax": strange,
		"Missing close bracket on index": strange, "Missing close bracket on splat index": strange, "Invalid nested splat expressions": strange, "Nested splat expression not allowed": strange,
	}
}

func functionNames() []string {
	return []string{"env", "file", "format", "join", "lower", "replace", "trimspace", "upper"}
}

var quoted = regexp.MustCompile(`"([^"]*)"`)

// take turns the parser's diagnostics into ours.
func (r *hclReader) take(found hcl.Diagnostics) {
	ours, former := wordings(), -1
	for _, d := range found {
		at := max(r.at, 0)
		if d.Subject != nil {
			at = r.place(*d.Subject)
		}
		if at == former { // what follows from a mistake that was told
			continue
		}
		former = at
		message, hint := sentence(d.Summary), sentence(d.Detail)
		if words, known := ours[d.Summary]; known {
			message, hint = words.message, words.hint
			if name := quoted.FindStringSubmatch(d.Detail); strings.Contains(message, "%s") {
				subject := "this"
				if name != nil {
					subject = show(name[1])
				}
				message = strings.Replace(message, "%s", subject, 1)
				if meant := closest(subject, functionNames()); d.Summary == "Call to unknown function" && meant != "" {
					hint = "did you mean " + meant + "?"
				}
			}
		}
		if call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d); ok && call.FunctionCallError() != nil {
			message, hint = failedCall(call.CalledFunctionName(), call.FunctionCallError(), d.Expression)
		}
		if d.Severity == hcl.DiagError {
			r.mistake(at, message, hint)
		} else {
			r.advice(at, message, hint)
		}
		if d.Summary == "Invalid multi-line string" || d.Summary == "Unterminated template string" {
			return // all after it would be read as text and as no text, the wrong way round
		}
	}
}

// failedCall tells why a function failed. What the environment gave it may be secret.
func failedCall(name string, err error, expr hcl.Expression) (message, hint string) {
	if call, ok := expr.(*hclsyntax.FunctionCallExpr); ok && slices.ContainsFunc(call.Args, func(arg hclsyntax.Expression) bool { return callsEnv(arg) }) {
		message, hint = unfit()
		return name + message, hint
	}
	if theirs := (function.ArgError{}); errors.As(err, &theirs) { // the function itself was not called
		return "the function is given what it does not take", "it takes text, in double quotes"
	}
	message, hint, said := strings.Cut(err.Error(), "; ")
	if !said {
		hint = "look at what the function is given"
	}
	return name + ": " + clip(message, 200), hint
}

// sentence makes a part of a line of a sentence of the parser's.
func sentence(text string) string {
	text = strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ".")
	if len(text) > 1 && text[0] >= 'A' && text[0] <= 'Z' && (text[1] < 'A' || text[1] > 'Z') {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return clip(text, 300)
}
