package manifest

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/tailscale/hujson"
	"github.com/zclconf/go-cty/cty"
)

// node is a place of dokku.hcl that holds a block or a value: one of a body and an
// expression of HCL, a value of the JSON twin, and a value that is known already.
type node struct {
	key      string
	keyAt    int
	at       int // of the value
	labels   []string
	labelsAt []int
	body     *hclsyntax.Body
	expr     hclsyntax.Expression
	json     *hujson.Value
	value    cty.Value
	env      bool // a value that the environment decided
}

type nodeKind int

const (
	isBad     nodeKind = iota // it was told already
	isUnknown                 // it depends on a variable that is not set, where that is no mistake
	isScalar
	isList
	isObject
)

// opened is what a node holds: the value of a scalar, the elements of a list, the
// entries of an object.
type opened struct {
	kind  nodeKind
	inner []node
	value cty.Value
	env   bool
}

// open looks into a node, and evaluates it if it is an expression.
func (r *hclReader) open(n node) opened {
	switch {
	case n.body != nil:
		return opened{kind: isObject, inner: bodyNodes(n.body)}
	case n.json != nil:
		return r.openJSON(n)
	case n.expr == nil:
		return fromValue(n)
	}
	switch expr := n.expr.(type) {
	case *hclsyntax.TupleConsExpr:
		o := opened{kind: isList}
		for _, element := range expr.Exprs {
			o.inner = append(o.inner, node{at: element.Range().Start.Byte, expr: element})
		}
		return o
	case *hclsyntax.ObjectConsExpr:
		o := opened{kind: isObject}
		for _, item := range expr.Items {
			if at := item.KeyExpr.Range().Start.Byte; callsEnv(item.KeyExpr) {
				r.mistake(r.place(item.KeyExpr.Range()), "a name comes from the environment", "write it out: names are no secrets, and stand in plans")
			} else if key, ok := r.scalar("the name", item.KeyExpr); ok {
				o.inner = append(o.inner, node{key: key, keyAt: at, at: item.ValueExpr.Range().Start.Byte, expr: item.ValueExpr})
			}
		}
		return o
	}
	return r.openExpression(n, n.expr)
}

func (r *hclReader) openExpression(n node, expr hclsyntax.Expression) opened {
	value, ok := r.evaluate(expr)
	if !ok {
		return opened{kind: isBad}
	}
	n.value, n.env = value, callsEnv(expr)
	return fromValue(n)
}

func (r *hclReader) openJSON(n node) opened {
	reader := jsonReader{r.source}
	switch v := n.json.Value.(type) {
	case *hujson.Object:
		o := opened{kind: isObject}
		for _, m := range reader.members(n.json, "") {
			o.inner = append(o.inner, node{key: m.key, keyAt: m.at, at: m.value.StartOffset, json: m.value})
		}
		return o
	case *hujson.Array:
		o := opened{kind: isList}
		for i := range v.Elements {
			o.inner = append(o.inner, node{at: v.Elements[i].StartOffset, json: &v.Elements[i]})
		}
		return o
	case hujson.Literal:
		return r.openLiteral(n, v)
	}
	return opened{kind: isBad}
}

// openLiteral reads a word of JSON. A string is a template, as in HCL's own JSON syntax.
func (r *hclReader) openLiteral(n node, literal hujson.Literal) opened {
	switch literal.Kind() {
	case 'n':
		n.value = cty.NullVal(cty.DynamicPseudoType)
	case 't', 'f':
		n.value = cty.BoolVal(literal.Bool())
	case '"':
		text := literal.String()
		if strings.Contains(text, "${") || strings.Contains(text, "%{") {
			return r.within(n, text, hclsyntax.ParseTemplate)
		}
		n.value = cty.StringVal(text)
	default:
		return r.within(n, string(literal), hclsyntax.ParseExpression)
	}
	return fromValue(n)
}

// within reads an expression that stands in a literal of the JSON twin; its mistakes are
// told where the literal begins.
func (r *hclReader) within(n node, text string, parse func([]byte, string, hcl.Pos) (hclsyntax.Expression, hcl.Diagnostics)) opened {
	r.at = n.at
	defer func() { r.at = -1 }()
	tokens, _ := hclsyntax.LexTemplate([]byte(text), r.file, hcl.InitialPos)
	if !r.bounded(tokens) {
		return opened{kind: isBad}
	}
	if len(text) > maxNumber && !strings.Contains(text, "{") {
		r.mistake(n.at, "the number is too long", "write it in double quotes if it is meant as text")
		return opened{kind: isBad}
	}
	before := r.count[Mistake]
	expr, found := parse([]byte(text), r.file, hcl.InitialPos)
	r.take(found)
	if r.count[Mistake] > before {
		return opened{kind: isBad}
	}
	return r.openExpression(n, expr)
}

// fromValue takes a value apart that is known.
func fromValue(n node) opened {
	o := opened{kind: isScalar, value: n.value, env: n.env}
	of := func(key string, value cty.Value) node {
		return node{key: key, keyAt: n.at, at: n.at, value: value, env: n.env}
	}
	switch kind := n.value.Type(); {
	case !n.value.IsWhollyKnown():
		o.kind = isUnknown
	case n.value.IsNull():
	case kind.IsTupleType() || kind.IsListType() || kind.IsSetType():
		o.kind = isList
		for _, element := range n.value.AsValueSlice() {
			o.inner = append(o.inner, of("", element))
		}
	case kind.IsObjectType() || kind.IsMapType():
		o.kind = isObject
		for entries := n.value.ElementIterator(); entries.Next(); {
			key, element := entries.Element()
			o.inner = append(o.inner, of(key.AsString(), element))
		}
	}
	return o
}

// number is a number as it is written; empty for what is none. 1.20 and 1.2 are the same one.
func (r *hclReader) number(n node) string {
	if n.json != nil {
		if literal, ok := n.json.Value.(hujson.Literal); ok && literal.Kind() == '0' {
			return string(literal)
		}
	}
	if literal, ok := n.expr.(*hclsyntax.LiteralValueExpr); ok && literal.Val.Type() == cty.Number {
		return string(literal.SrcRange.SliceBytes([]byte(r.text)))
	}
	return ""
}

// callsEnv says whether the environment decides a value: it may be secret.
func callsEnv(expr hclsyntax.Expression) bool {
	found := false
	_ = hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && call.Name == "env" {
			found = true
		}
		return nil
	})
	return found
}
