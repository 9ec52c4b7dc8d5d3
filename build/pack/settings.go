package pack

import (
	"bufio"
	"context"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/buildpacks/pack/pkg/blob"
	"github.com/buildpacks/pack/pkg/cache"
	cnb "github.com/buildpacks/pack/pkg/client"
	"github.com/buildpacks/pack/pkg/image"
	"github.com/buildpacks/pack/pkg/project"
	"github.com/buildpacks/pack/pkg/project/types"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/client"

	"github.com/dokku-push/dokku-push/api"
	"github.com/dokku-push/dokku-push/build"
	"github.com/dokku-push/dokku-push/build/dockerfile"
)

// The tags of a registry's repository that a build moves. What is deployed goes by its
// digest.
const (
	buildTag = "dokku-push-build" // whose layers the next build takes over
	cacheTag = "dokku-push-cache"
)

// settle makes pack's options of what the project says.
func (b Builder) settle(request build.Request, said *story) (cnb.BuildOptions, error) {
	dir, err := folderOf(request)
	if err != nil {
		return cnb.BuildOptions{}, err
	}
	descriptor, err := descriptorOf(request, dir, said)
	if err != nil {
		return cnb.BuildOptions{}, err
	}
	buildpacks, err := buildpacksOf(request, dir)
	if err != nil {
		return cnb.BuildOptions{}, err
	}
	for _, note := range buildpacks.notes {
		said.Warn(note)
	}
	if len(buildpacks.buildpacks) > 0 {
		said.Infof("buildpacks (%s): %s", buildpacks.from, strings.Join(buildpacks.buildpacks, ", "))
	}
	settings := cnb.BuildOptions{
		Builder: build.PackBuilder(request.App), RunImage: request.App.Build.Pack.RunImage,
		AppPath: dir, RelativeBaseDir: request.Dir, ProjectDescriptorBaseDir: filepath.Join(request.Dir, request.App.Folder), ProjectDescriptor: descriptor,
		Image: dockerfile.ImageName(request.Name), Buildpacks: buildpacks.buildpacks, Env: b.env(request),
		PullPolicy: image.PullIfNotPresent,
		// What the project names is trusted as a Dockerfile's base image is. Otherwise pack
		// fetches a lifecycle image of its own from docker.io for every phase.
		TrustBuilder: func(string) bool { return true }, TrustExtraBuildpacks: true,
		// A network of pack's own would outlive a build that is cancelled.
		ContainerConfig: cnb.ContainerConfig{Network: "bridge"},
	}
	return settings, b.keep(request, &settings, said)
}

// folderOf is the folder that the buildpacks see.
func folderOf(request build.Request) (string, error) {
	said := request.App.Build.Dir
	if said == "" {
		said = request.App.Build.Context
	}
	if said == "" {
		return request.Dir, nil
	}
	if !filepath.IsLocal(said) {
		return "", api.Errorf(api.BuildFailed, "build", "%s is outside of the project", said).WithHint("write a path relative to the project, without ..")
	}
	dir := filepath.Join(request.Dir, said)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", api.Errorf(api.BuildFailed, "build", "there is no folder %s", said).WithHint("build { dir = \"...\" } in dokku.hcl names it")
	}
	return dir, nil
}

// env is what the buildpacks see and the image does not: project.toml's is pack's own
// affair, and what is said here wins over it.
func (b Builder) env(request build.Request) map[string]string {
	env := maps.Clone(request.App.Build.Args)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, request.App.Build.Pack.Env)
	for _, secret := range request.App.Build.Secrets {
		if b.Getenv == nil {
			continue
		}
		if value, ok := b.Getenv(secret); ok {
			env[secret] = value
		}
	}
	return env
}

// descriptorOf reads project.toml as pack does. The history of a checkout is no part of
// the app: two checkouts of one commit give one image.
func descriptorOf(request build.Request, dir string, said *story) (types.Descriptor, error) {
	var descriptor types.Descriptor
	if request.App.Project != nil {
		var err error
		if descriptor, err = project.ReadProjectDescriptor(filepath.Join(request.Dir, request.App.Folder, "project.toml"), said); err != nil {
			return descriptor, api.Errorf(api.InvalidManifest, "read project.toml", "%w", err)
		}
	}
	out := []string{".git"}
	for _, name := range request.UnseenIn(dir) {
		out = append(out, "/"+name)
	}
	build := &descriptor.Build
	if len(build.Include) > 0 {
		for _, pattern := range out {
			build.Include = append(build.Include, "!"+pattern)
		}
		return descriptor, nil
	}
	if len(build.Exclude) == 0 {
		build.Exclude = slugignore(dir)
	}
	build.Exclude = append(build.Exclude, out...)
	return descriptor, nil
}

// slugignore reads Heroku's list of files that are no part of the app.
func slugignore(dir string) (patterns []string) {
	file, err := os.Open(filepath.Join(dir, ".slugignore"))
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		if line := strings.TrimSpace(scanner.Text()); line != "" && line[0] != '#' {
			patterns = append(patterns, line)
		}
	}
	return patterns
}

// keep says where the image and the cache go.
func (b Builder) keep(request build.Request, settings *cnb.BuildOptions, said *story) error {
	kept := request.App.Build.Cache
	settings.Cache = volumes(request)
	if b.Registry == "" {
		if kept.Image != "" {
			said.Warn("the cache image " + kept.Image + " needs a registry for the app's image too; a volume of the engine is used")
		}
		return nil
	}
	repository, err := name.NewRepository(b.Registry)
	if err != nil {
		return api.Errorf(api.Configuration, "build", "%s is no repository: %w", b.Registry, err)
	}
	settings.Image, settings.Publish = b.Registry+":"+buildTag, true
	if kept.Image != "" {
		settings.CacheImage = kept.Image
	} else if b.CI && !kept.Volume {
		settings.CacheImage = b.Registry + ":" + cacheTag
	}
	// The loopback of a container's own network is not this machine's.
	if host, _, _ := strings.Cut(repository.RegistryStr(), ":"); host == "localhost" || strings.HasPrefix(host, "127.") {
		settings.ContainerConfig.Network = "host"
	}
	return nil
}

// volumes are the caches of one app in one folder of this machine.
func volumes(request build.Request) cache.CacheOpts {
	volume := func(kind string) cache.CacheInfo {
		return cache.CacheInfo{Format: cache.CacheVolume, Source: api.BuildCache(request.Name, request.Dir, kind)}
	}
	return cache.CacheOpts{Build: volume("build"), Launch: volume("launch"), Kaniko: volume("kaniko")}
}

// downloader fetches buildpacks that are named by a URL.
func (b Builder) downloader(said *story) blob.Downloader {
	return blob.NewDownloader(said, filepath.Join(b.CacheDir, "buildpacks"))
}

// socketOf is the engine's socket as the lifecycle's container sees it. Only on Linux is
// it the one of this machine; elsewhere the engine runs in a virtual machine that has
// it in the usual place.
func socketOf(docker *client.Client) string {
	if host := docker.DaemonHost(); runtime.GOOS == "linux" && strings.HasPrefix(host, "unix://") {
		return host
	}
	return ""
}

// platform is what pack is to ask registries for: nothing where the engine has the
// builder image for the host's platform, since pack would ask all the same, and fail
// without a network.
func platform(ctx context.Context, docker *client.Client, request build.Request, said *story) string {
	image := build.PackBuilder(request.App)
	found, err := docker.ImageInspect(ctx, image)
	if err == nil && found.Os == request.OS && found.Architecture == request.Arch {
		said.Info("builder image " + image)
		return ""
	}
	said.Info("fetching the builder image " + image)
	return request.OS + "/" + request.Arch
}
