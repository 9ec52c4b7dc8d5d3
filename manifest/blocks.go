package manifest

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// host reads host "NAME" { address host_key }.
func (r *hclReader) host(block *hclsyntax.Block) {
	host := &r.app.Host
	host.Name = block.Labels[0]
	if strings.HasPrefix(host.Name, "-") || strings.ContainsFunc(host.Name, func(c rune) bool { return !isWordRune(c) && c != '-' && c != '.' }) {
		r.mistake(block.LabelRanges[0].Start.Byte, "the host's name is "+show(host.Name), "write letters, digits and hyphens, such as production")
	}
	r.body(block.Body, "host.", map[string]readAttribute{
		"address":  r.string(&host.Address, checkAddress),
		"host_key": r.string(&host.HostKey, checkHostKey),
	}, nil)
	if _, said := block.Body.Attributes["address"]; !said {
		r.mistake(block.TypeRange.Start.Byte, "host "+show(host.Name)+" has no address", "write address = \"dokku@host\" in it")
	}
}

// image reads image { registry }.
func (r *hclReader) image(block *hclsyntax.Block) {
	r.body(block.Body, "image.", map[string]readAttribute{
		"registry": r.string(&r.app.Image.Registry, checkRegistry),
	}, nil)
}

// config reads config { KEY = value }.
func (r *hclReader) config(block *hclsyntax.Block) {
	for _, nested := range block.Body.Blocks {
		r.mistake(nested.TypeRange.Start.Byte, "config."+show(nested.Type)+" is a block", "config holds only lines such as KEY = \"value\"")
	}
	r.app.Config = map[string]string{}
	keys := keySet{}
	total := 0
	for _, attribute := range inOrder(block.Body.Attributes) {
		at := attribute.NameRange.Start.Byte
		problem, hint := declaredKey(attribute.Name)
		if problem == "" {
			problem, hint = keys.add(attribute.Name)
		}
		if problem != "" {
			r.mistake(at, problem, hint)
			continue
		}
		value, _ := r.scalar(attribute.Name, attribute.Expr)
		r.app.Config[attribute.Name] = value
		total += len(attribute.Name) + len(value) + 2
	}
	if total > maxFile {
		r.mistake(block.TypeRange.Start.Byte, "the values of config are larger than 1 MiB together", "put large values into files of the image")
	}
}
