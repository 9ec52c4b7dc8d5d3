package manifest

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

const maxExponent = 256 // of a number, in powers of two

// What is told of loops, indices and the like, whether they parse or not.
const (
	strangeExpression = "this kind of expression is not used in dokku.hcl"
	writeOut          = "write the value out"
)

// evaluate returns the value of an expression that holds only what dokku.hcl
// allows: literals, templates, choices and its functions.
func (r *hclReader) evaluate(expr hclsyntax.Expression) (cty.Value, bool) {
	before := r.count[Mistake]
	_ = hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		if message, hint := forbidden(node); message != "" && r.count[Mistake] == before {
			r.mistake(r.place(node.Range()), message, hint)
		}
		return nil
	})
	if r.count[Mistake] > before {
		return cty.NilVal, false
	}
	value, found := expr.Value(r.context)
	r.take(found)
	if r.count[Mistake] == before && !r.lenient && !value.IsWhollyKnown() {
		r.mistake(r.place(expr.Range()), "the value is not known", "write it out")
	}
	return value, r.count[Mistake] == before
}

// forbidden says why a part of an expression may not stand in dokku.hcl. Loops and
// arithmetic are left out: no app needs them, and without them no small file means
// a large one.
func forbidden(node hclsyntax.Node) (message, hint string) {
	switch node := node.(type) {
	case *hclsyntax.TemplateExpr, *hclsyntax.TemplateWrapExpr, *hclsyntax.FunctionCallExpr, *hclsyntax.ParenthesesExpr,
		*hclsyntax.ConditionalExpr, *hclsyntax.ObjectConsExpr, *hclsyntax.ObjectConsKeyExpr, *hclsyntax.TupleConsExpr:
		return "", ""
	case *hclsyntax.LiteralValueExpr:
		if value := node.Val; !value.IsNull() && value.Type() == cty.Number {
			if exponent := value.AsBigFloat().MantExp(nil); exponent > maxExponent || exponent < -maxExponent {
				return "the number is out of range", "write it in double quotes if it is meant as text"
			}
		}
		return "", ""
	case *hclsyntax.UnaryOpExpr:
		return "", ""
	case *hclsyntax.BinaryOpExpr:
		switch node.Op {
		case hclsyntax.OpEqual, hclsyntax.OpNotEqual, hclsyntax.OpLogicalAnd, hclsyntax.OpLogicalOr:
			return "", ""
		}
		return "there is no arithmetic in dokku.hcl", "write the result, or the text in double quotes"
	case *hclsyntax.ScopeTraversalExpr:
		name := node.Traversal.RootName()
		return "there is no variable " + show(name), "text stands in double quotes; a variable of the environment is env(\"" + clip(name, 60) + "\")"
	}
	return strangeExpression, writeOut
}

// scalar returns a string, number or bool as the text that an environment carries.
func (r *hclReader) scalar(name string, expr hclsyntax.Expression) (string, bool) {
	o := r.openExpression(node{at: expr.Range().Start.Byte}, expr)
	return r.plain(name, expr.Range().Start.Byte, o)
}

// plain is scalar of a node that was opened.
func (r *hclReader) plain(name string, at int, o opened) (string, bool) {
	switch o.kind {
	case isBad, isUnknown:
		return "", false
	case isScalar:
		if !o.value.IsNull() && o.value.Type().IsPrimitiveType() {
			if text, err := convert.Convert(o.value, cty.String); err == nil {
				return text.AsString(), true
			}
		}
	}
	r.mistake(at, name+" is not a string, a number, true or false", "write it in double quotes")
	return "", false
}
