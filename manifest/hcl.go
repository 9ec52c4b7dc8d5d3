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
)

const (
	maxOperators = 2000 // in all of dokku.hcl
	maxNumber    = 40   // characters of a number
)

// hclReader reads one dokku.hcl, or its JSON twin, by the table of blocks. What it
// finds to be said it hands to sink.
type hclReader struct {
	*source
	json      bool // the twin
	context   *hcl.EvalContext
	operators int
	// lenient is set in parts that do not count now, such as another environment's:
	// there env("X") of a variable that is not set is no mistake.
	lenient bool
	at      int // where an expression inside a JSON string stands; -1: it has places of its own
	sink    func(finding)
	apart   []part // the environment, app and server blocks of the block that is read
}

type part struct {
	block string
	node
}

// finding is one thing that a file says.
type finding struct {
	key       string // dotted
	attribute *attribute
	name      string // the label of the block, or the map's key
	value     value
	shown     string // as Explain shows it
	secret    bool
	at        int
}

// newHCLReader prepares a file. file("p") reads in fsys.
func newHCLReader(name string, text []byte, fsys fs.FS, getenv func(string) (string, bool)) *hclReader {
	r := &hclReader{source: newSource(name, text), json: strings.HasSuffix(name, ".json"), at: -1}
	r.context = &hcl.EvalContext{Functions: functions(fsys, getenv, &r.lenient)}
	return r
}

// parse returns the top of the file, or false after a mistake that hides the rest.
func (r *hclReader) parse() (node, bool) {
	if r.json {
		twin := jsonReader{r.source}
		root := twin.parse()
		if root == nil {
			return node{}, false
		}
		return node{json: root}, !r.failed()
	}
	if r.failed() {
		return node{}, false
	}
	tokens, _ := hclsyntax.LexConfig([]byte(r.text), r.file, hcl.InitialPos)
	if !r.bounded(tokens) {
		return node{}, false
	}
	file, found := hclsyntax.ParseConfig([]byte(r.text), r.file, hcl.InitialPos)
	r.take(found)
	for _, d := range found {
		if d.Severity == hcl.DiagError && d.Summary != "Attribute redefined" { // after that one the rest is sound
			return node{}, false
		}
	}
	return node{body: file.Body.(*hclsyntax.Body)}, true
}

// bodyNodes are the attributes and blocks of a body in the file's order.
func bodyNodes(body *hclsyntax.Body) []node {
	var nodes []node
	for attribute := range maps.Values(body.Attributes) {
		nodes = append(nodes, node{key: attribute.Name, keyAt: attribute.NameRange.Start.Byte, at: attribute.Expr.Range().Start.Byte, expr: attribute.Expr})
	}
	for _, inner := range body.Blocks {
		n := node{key: inner.Type, keyAt: inner.TypeRange.Start.Byte, at: inner.TypeRange.Start.Byte, body: inner.Body}
		for i, label := range inner.Labels {
			n.labels = append(n.labels, label)
			n.labelsAt = append(n.labelsAt, inner.LabelRanges[i].Start.Byte)
		}
		nodes = append(nodes, n)
	}
	slices.SortStableFunc(nodes, func(a, b node) int { return cmp.Compare(a.keyAt, b.keyAt) })
	return nodes
}

// bounded refuses, by tokens alone, what would make the parser or the evaluation
// recurse or grow without bound.
func (r *hclReader) bounded(tokens hclsyntax.Tokens) bool {
	depth := 0
	for _, token := range tokens {
		at := r.place(token.Range)
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
			if r.operators++; r.operators > maxOperators {
				r.mistake(at, fmt.Sprintf("there are more than %d operators in the file", maxOperators), "dokku.hcl is no program")
				return false
			}
		}
	}
	return true
}

// place is where a range begins in the file.
func (r *hclReader) place(found hcl.Range) int {
	if r.at >= 0 {
		return r.at
	}
	return found.Start.Byte
}
