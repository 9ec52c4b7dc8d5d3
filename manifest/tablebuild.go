package manifest

// The part of the table that says how an image is made.

// builders are the names that build { builder } may have.
func builders() []string { return []string{"dockerfile", "image", "pack", "static"} }

func buildBlock() block {
	return block{name: "build", doc: "How the source tree becomes an image.",
		attributes: []attribute{
			{name: "builder", kind: aText, words: builders(), usual: "dockerfile where there is a Dockerfile, else pack", example: `"dockerfile"`,
				doc: "Who builds it.",
				set: func(d *draft, _ string, v value) { d.app.Build.Builder = v.text }},
			{name: "context", kind: aText, check: insidePath, pattern: insidePattern, never: upwards, usual: "the project's folder", example: `"web"`,
				doc: "The folder that the build sees.",
				set: func(d *draft, _ string, v value) { d.app.Build.Context = v.text }},
			{name: "dir", kind: aText, check: insidePath, pattern: insidePattern, never: upwards, usual: "the context", example: `"apps/web"`,
				doc: "The app's own folder, where it is not the context.",
				set: func(d *draft, _ string, v value) { d.app.Build.Dir = v.text }},
			{name: "watch", kind: aList, check: insidePath, pattern: insidePattern, never: upwards, usual: "the context", example: `["libs/**", "go.mod"]`,
				doc: "What beside the app's own folder it is built from, for --changed-since: files, folders, patterns.",
				set: func(d *draft, _ string, v value) { d.app.Build.Watch = v.list }},
			{name: "image", kind: aText, check: checkBase, pattern: imagePattern, example: `"registry.example.com/team/app:1.2"`,
				doc: "The image that builder = \"image\" deploys as it is.",
				set: func(d *draft, _ string, v value) { d.app.Build.Image = v.text }},
			{name: "args", kind: aMap, secrets: "build { secrets = [\"…\"] }", key: envKey, keyForm: envPattern, example: `{ NAME = "value" }`,
				doc: "Build arguments; they are no place for secrets.",
				set: func(d *draft, name string, v value) { put(&d.app.Build.Args, name, v.text) }},
			{name: "secrets", kind: aList, check: envKey, full: true, pattern: envPattern, example: `["NPM_TOKEN"]`,
				doc: "Names of environment variables that the build may read; they end in no layer.",
				set: func(d *draft, _ string, v value) { d.app.Build.Secrets = v.list }},
			{name: "ssh", kind: aList, check: checkMountID, full: true, pattern: `^[A-Za-z0-9_.-]+$`, usual: "none", example: `["default"]`,
				doc: "Which RUN --mount=type=ssh may use this machine's ssh-agent, by their ids; one without an id is default.",
				set: func(d *draft, _ string, v value) { d.app.Build.SSH = v.list }},
		},
		blocks: []block{dockerfileBlock(), staticBlock(), packBlock(), cacheBlock()}}
}

func dockerfileBlock() block {
	return block{name: "dockerfile", doc: "For builder dockerfile.",
		attributes: []attribute{
			{name: "path", kind: aText, check: insidePath, pattern: insidePattern, never: upwards, usual: "Dockerfile", example: `"docker/Dockerfile"`,
				doc: "The Dockerfile, relative to the context.",
				set: func(d *draft, _ string, v value) { d.app.Build.Dockerfile.Path = v.text }},
			{name: "target", kind: aText, check: checkTarget, pattern: `^[A-Za-z0-9_.-]+$`, usual: "the last stage", example: `"run"`,
				doc: "The stage to build.",
				set: func(d *draft, _ string, v value) { d.app.Build.Dockerfile.Target = v.text }},
		}}
}

func staticBlock() block {
	return block{name: "static", doc: "For builder static: files or a compiled program, laid on a base image.",
		attributes: []attribute{
			{name: "base", kind: aText, check: checkBase, pattern: imagePattern, example: `"nginx:alpine"`,
				doc: "The base image: a reference, an OCI layout folder, or an archive of docker save.",
				set: func(d *draft, _ string, v value) { d.app.Build.Static.Base = v.text }},
			{name: "dir", kind: aText, check: insidePath, pattern: insidePattern, never: upwards, usual: "the context", example: `"public"`,
				doc: "The files, relative to the context.",
				set: func(d *draft, _ string, v value) { d.app.Build.Static.Dir = v.text }},
			{name: "dest", kind: aText, check: checkImagePath, pattern: absolutePattern, usual: "/app", example: `"/app"`,
				doc: "Where they go in the image.",
				set: func(d *draft, _ string, v value) { d.app.Build.Static.Dest = v.text }},
			{name: "command", kind: aText, check: checkCommand, pattern: oneLinePattern, usual: "the Procfile's web", example: `"./server --port $PORT"`,
				doc: "The web process where there is no Procfile.",
				set: func(d *draft, _ string, v value) { d.app.Build.Static.Command = v.text }},
			{name: "make", kind: aText, check: checkCommand, pattern: oneLinePattern, usual: "nothing is run", example: `"go build -trimpath -o $OUT/server ."`,
				doc: "A command that is run here first, in the app's folder or the context, for the platform in $GOOS and $GOARCH: what it leaves in $OUT goes into the image, instead of the files where no dir is named.",
				set: func(d *draft, _ string, v value) { d.app.Build.Static.Make = v.text }},
		}}
}

func packBlock() block {
	return block{name: "pack", doc: "For builder pack: Cloud Native Buildpacks.",
		attributes: []attribute{
			{name: "builder", kind: aText, check: checkBase, pattern: imagePattern, example: `"heroku/builder:24"`,
				doc: "The builder image.",
				set: func(d *draft, _ string, v value) { d.app.Build.Pack.Builder = v.text }},
			{name: "buildpacks", kind: aList, check: checkBuildpack, pattern: imagePattern, usual: "the builder's own", example: `["heroku/nodejs"]`,
				doc: "The buildpacks, in order.",
				set: func(d *draft, _ string, v value) { d.app.Build.Pack.Buildpacks = v.list }},
			{name: "env", kind: aMap, key: envKey, keyForm: envPattern, example: `{ NAME = "value" }`,
				doc: "Variables of the build.",
				set: func(d *draft, name string, v value) { put(&d.app.Build.Pack.Env, name, v.text) }},
			{name: "run_image", kind: aText, check: checkBase, pattern: imagePattern, usual: "the builder's", example: `"heroku/heroku:24"`,
				doc: "The image that the app's layers are laid on.",
				set: func(d *draft, _ string, v value) { d.app.Build.Pack.RunImage = v.text }},
		}}
}

func cacheBlock() block {
	return block{name: "cache", doc: "Where builds keep what the next one can use.",
		attributes: []attribute{
			{name: "from", kind: aList, check: checkBase, pattern: imagePattern, usual: "none", example: `["registry.example.com/team/app:cache"]`,
				doc: "What BuildKit reads: images, or type=…,… as it takes them.",
				set: func(d *draft, _ string, v value) { d.app.Build.Cache.From = v.list }},
			{name: "to", kind: aText, check: checkBase, pattern: imagePattern, usual: "none", example: `"registry.example.com/team/app:cache"`,
				doc: "What BuildKit writes.",
				set: func(d *draft, _ string, v value) { d.app.Build.Cache.To = v.text }},
			{name: "image", kind: aText, check: checkRegistryTag, pattern: imagePattern, usual: "none", example: `"registry.example.com/team/app:cache"`,
				doc: "pack's cache image.",
				set: func(d *draft, _ string, v value) { d.app.Build.Cache.Image = v.text }},
			{name: "volume", kind: aTruth, usual: "true where there is no cache image",
				doc: "Whether pack keeps a cache volume.",
				set: func(d *draft, _ string, v value) { d.app.Build.Cache.Volume = v.truth }},
		}}
}
