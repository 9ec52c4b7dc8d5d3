package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/push"
)

func imageFlags(c *client, flags *pflag.FlagSet) {
	flags.BoolVar(&c.digest, "print-digest", false, "print the digest by which a registry knows the image, not the image's id")
	flags.StringVar(&c.sbom, "sbom", "", "write the bills of materials that buildpacks left in the image into this folder")
	flags.StringVar(&c.layout, "oci", "", "write the image into this folder as an OCI layout; builder static makes it for every platform of image { platforms }")
}

// build makes the image, writes what was asked for of it, and prints what it is called.
func (c *client) build(ctx context.Context) error {
	c.options.Dir = c.folder()
	if c.onHost {
		return c.buildOnHost(ctx)
	}
	if c.several() {
		return c.buildEach(ctx)
	}
	if c.layout != "" {
		return c.buildLayout(ctx)
	}
	project, err := push.Load(c.options)
	if err != nil {
		return err
	}
	defer project.Close()
	image, err := push.Build(ctx, c.options, project, "linux", runtime.GOARCH)
	if err != nil {
		return err
	}
	if c.output != "" {
		if err := writeArchive(c.output, project.Name, image); err != nil {
			return err
		}
	}
	if c.sbom != "" {
		if err := c.writeSBOM(image); err != nil {
			return err
		}
	}
	answer, err := c.called(image)
	if err == nil {
		_, err = fmt.Fprintln(c.out, answer)
	}
	return err
}

// buildLayout makes the image for every platform that the project names.
func (c *client) buildLayout(ctx context.Context) error {
	if c.output != "" || c.sbom != "" || c.digest {
		return api.Errorf(api.Usage, "", "--oci goes with no other way to have the image").WithHint("its answer is the digest of the layout's image or index")
	}
	project, err := push.Load(c.options)
	if err != nil {
		return err
	}
	defer project.Close()
	digest, err := push.BuildLayout(ctx, c.options, project, "linux", runtime.GOARCH, c.layout)
	if err == nil {
		_, err = fmt.Fprintln(c.out, digest)
	}
	return err
}

// called is the image's id or, where that was asked for, its manifest's digest.
func (c *client) called(image *build.Image) (string, error) {
	if !c.digest {
		return image.ID, nil
	}
	digest, err := image.Digest()
	if err != nil {
		return "", api.Errorf(api.BuildFailed, "compute the digest", "%w", err)
	}
	return digest.String(), nil
}

// writeArchive writes the image as docker load reads it.
func writeArchive(file, app string, image *build.Image) error {
	reference, err := name.NewTag("dokku/" + app + ":latest")
	if err == nil {
		err = tarball.WriteToFile(file, reference, image)
	}
	if err != nil {
		return api.Errorf(api.BuildFailed, "write "+file, "%w", err)
	}
	return nil
}

func (c *client) writeSBOM(image *build.Image) error {
	files, err := build.WriteSBOM(image, c.sbom)
	if err != nil {
		return err
	}
	for _, file := range files {
		fmt.Fprintf(c.err, "-----> %s\n", file)
	}
	return nil
}
