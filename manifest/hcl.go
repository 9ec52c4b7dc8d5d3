package manifest

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

const (
	maxOperators = 2000 // in all of dokku.hcl
	maxNumber    = 40   // characters of a number
)

// parseHCL reads dokku.hcl into app. file("p") reads in fsys.
func parseHCL(app *App, name string, text []byte, fsys fs.FS, getenv func(string) (string, bool)) *source {
	r := &hclReader{source: newSource(name, text), app: app, context: &hcl.EvalContext{Functions: functions(fsys, getenv)}}
	if r.failed() || !r.bounded() {
		return r.source
	}
	file, found := hclsyntax.ParseConfig([]byte(r.text), name, hcl.InitialPos)
	r.take(found)
	if r.failed() {
		return r.source
	}
	r.body(file.Body.(*hclsyntax.Body), "", map[string]readAttribute{
		"app": r.string(&app.Name, checkApp),
	}, map[string]readBlock{
		"host":   {label: "name", read: r.host},
		"image":  {read: r.image},
		"build":  {read: r.build},
		"config": {read: r.config},
	})
	return r.source
}

// hclReader reads one dokku.hcl. Each block has a method of its own.
type hclReader struct {
	*source
	app     *App
	context *hcl.EvalContext
}

type readAttribute func(*hclsyntax.Attribute)

// readBlock reads the blocks of a type. label says what their one label is; empty:
// they have none.
type readBlock struct {
	label string
	read  func(*hclsyntax.Block)
}

// body reads what stands in a block, or at the top where is empty.
func (r *hclReader) body(b *hclsyntax.Body, where string, attributes map[string]readAttribute, blocks map[string]readBlock) {
	for _, attribute := range inOrder(b.Attributes) {
		read, known := attributes[attribute.Name]
		at := attribute.NameRange.Start.Byte
		switch _, isBlock := blocks[attribute.Name]; {
		case known:
			read(attribute)
		case isBlock:
			r.mistake(at, where+attribute.Name+" is a block, not an attribute", "write "+attribute.Name+" { … }, without =")
		default:
			r.unknown(at, where, attribute.Name, attributes, blocks)
		}
	}
	seen := map[string]bool{}
	for _, block := range b.Blocks {
		read, known := blocks[block.Type]
		at := block.TypeRange.Start.Byte
		_, isAttribute := attributes[block.Type]
		switch {
		case isAttribute:
			r.mistake(at, where+block.Type+" is an attribute, not a block", "write "+block.Type+" = …")
		case !known:
			r.unknown(at, where, block.Type, attributes, blocks)
		case seen[block.Type]:
			r.mistake(at, where+block.Type+" stands twice", "write one block with everything in it")
		case read.label == "" && len(block.Labels) > 0:
			r.mistake(block.LabelRanges[0].Start.Byte, where+block.Type+" has no name", "write "+block.Type+" { … }")
		case read.label != "" && (len(block.Labels) != 1 || block.Labels[0] == ""):
			r.mistake(at, where+block.Type+" has one "+read.label, fmt.Sprintf("write %s \"%s\" { … }", block.Type, strings.ToUpper(read.label)))
		default:
			read.read(block)
		}
		seen[block.Type] = true
	}
}

func (r *hclReader) unknown(at int, where, word string, attributes map[string]readAttribute, blocks map[string]readBlock) {
	known := slices.AppendSeq(slices.Collect(maps.Keys(attributes)), maps.Keys(blocks))
	r.mistake(at, where+show(word)+" is not known", didYouMean(word, known))
}

// inOrder returns a body's attributes in the file's order.
func inOrder(attributes hclsyntax.Attributes) []*hclsyntax.Attribute {
	return slices.SortedFunc(maps.Values(attributes), func(a, b *hclsyntax.Attribute) int {
		return cmp.Compare(a.NameRange.Start.Byte, b.NameRange.Start.Byte)
	})
}

// check says what is wrong with a text; an empty problem means nothing is.
type check func(text string) (problem, hint string)

// string returns what reads an attribute into a field, if check finds it sound.
func (r *hclReader) string(field *string, check check) readAttribute {
	return func(attribute *hclsyntax.Attribute) {
		at := attribute.Expr.Range().Start.Byte
		value, ok := r.evaluate(attribute.Expr)
		if !ok {
			return
		}
		if value.IsNull() || value.Type() != cty.String {
			r.mistake(at, attribute.Name+" is not a string", "write it in double quotes")
			return
		}
		text := value.AsString()
		if problem, hint := check(text); problem != "" {
			r.mistake(at, attribute.Name+" "+problem, hint)
			return
		}
		*field = text
	}
}

// bounded refuses, by tokens alone, what would make the parser or the evaluation
// recurse or grow without bound.
func (r *hclReader) bounded() bool {
	tokens, _ := hclsyntax.LexConfig([]byte(r.text), r.file, hcl.InitialPos)
	depth, operators := 0, 0
	for _, token := range tokens {
		at := token.Range.Start.Byte
		switch token.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			if depth++; depth > maxDepth {
				r.mistake(at, fmt.Sprintf("blocks and values lie more than %d deep within each other", maxDepth), "dokku.hcl needs no such depth")
				return false
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenNumberLit:
			if len(token.Bytes) > maxNumber {
				r.mistake(at, "the number is too long", "write it in double quotes if it is meant as text")
				return false
			}
		case hclsyntax.TokenIdent, hclsyntax.TokenEqual, hclsyntax.TokenComma, hclsyntax.TokenNewline, hclsyntax.TokenComment,
			hclsyntax.TokenOQuote, hclsyntax.TokenCQuote, hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit,
			hclsyntax.TokenOHeredoc, hclsyntax.TokenCHeredoc, hclsyntax.TokenEOF:
		default:
			if operators++; operators > maxOperators {
				r.mistake(at, fmt.Sprintf("there are more than %d operators in the file", maxOperators), "dokku.hcl is no program")
				return false
			}
		}
	}
	return true
}

// take turns hcl's diagnostics into ours.
func (r *hclReader) take(found hcl.Diagnostics) {
	for _, d := range found {
		at := 0
		if d.Subject != nil {
			at = d.Subject.Start.Byte
		}
		message, hint := sentence(d.Summary), sentence(d.Detail)
		if call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d); ok && call.FunctionCallError() != nil {
			message = call.CalledFunctionName() + ": " + clip(call.FunctionCallError().Error(), 200)
			message, hint, _ = strings.Cut(message, "; ")
		}
		if d.Severity == hcl.DiagError {
			r.mistake(at, message, hint)
		} else {
			r.advice(at, message, hint)
		}
	}
}

// sentence makes a part of a line of a sentence of hcl's.
func sentence(text string) string {
	text = strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ".")
	if len(text) > 1 && text[0] >= 'A' && text[0] <= 'Z' && (text[1] < 'A' || text[1] > 'Z') {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return clip(text, 300)
}
