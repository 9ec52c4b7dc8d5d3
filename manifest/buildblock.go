package manifest

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// build reads build { builder context args dockerfile{} static{} }.
func (r *hclReader) build(block *hclsyntax.Block) {
	build := &r.app.Build
	r.body(block.Body, "build.", map[string]readAttribute{
		"builder": r.string(&build.Builder, checkBuilder),
		"context": r.string(&build.Context, insidePath),
		"args":    r.args,
	}, map[string]readBlock{
		"dockerfile": {read: r.dockerfile},
		"static":     {read: r.static},
	})
}

func (r *hclReader) dockerfile(block *hclsyntax.Block) {
	dockerfile := &r.app.Build.Dockerfile
	r.body(block.Body, "build.dockerfile.", map[string]readAttribute{
		"path":   r.string(&dockerfile.Path, insidePath),
		"target": r.string(&dockerfile.Target, checkTarget),
	}, nil)
}

func (r *hclReader) static(block *hclsyntax.Block) {
	static := &r.app.Build.Static
	r.body(block.Body, "build.static.", map[string]readAttribute{
		"base":    r.string(&static.Base, checkBase),
		"dir":     r.string(&static.Dir, insidePath),
		"dest":    r.string(&static.Dest, checkImagePath),
		"command": r.string(&static.Command, checkCommand),
	}, nil)
	if command, ok := block.Body.Attributes["command"]; ok {
		r.places["command"] = command.NameRange.Start.Byte
	}
}

// args reads args = { NAME = value }. hcl lets the last of two equal keys win; here
// that is a mistake.
func (r *hclReader) args(attribute *hclsyntax.Attribute) {
	object, ok := attribute.Expr.(*hclsyntax.ObjectConsExpr)
	if !ok {
		r.mistake(attribute.Expr.Range().Start.Byte, "args is not an object", "write args = { NAME = \"value\" }")
		return
	}
	args := map[string]string{}
	for _, item := range object.Items {
		key, ok := r.scalar("the name", item.KeyExpr)
		if !ok {
			continue
		}
		at := item.KeyExpr.Range().Start.Byte
		if problem, hint := envKey(key); problem != "" {
			r.mistake(at, problem, hint)
			continue
		}
		if _, twice := args[key]; twice {
			r.mistake(at, "args has "+key+" twice", "keep one of the two")
			continue
		}
		args[key], _ = r.scalar(key, item.ValueExpr)
	}
	r.app.Build.Args = args
}
