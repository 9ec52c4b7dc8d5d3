package manifest

import (
	"slices"
	"time"
)

// The patterns that the JSON Schema shares with the checks.
const (
	appPattern      = `^[a-z0-9][a-z0-9.-]{0,62}$`
	processPattern  = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`
	envPattern      = `^[A-Za-z_][A-Za-z0-9_]*$`
	labelPattern    = `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$`
	insidePattern   = `^[^/\\]`
	upwards         = `(^|/)\.\.(/|$)|\\`
	absolutePattern = `^/`
	imagePattern    = `^[^-\s]\S*$`
	hostsOwnKeys    = `^(PORT|GIT_REV|PATH|LD_PRELOAD|[Dd][Oo][Kk][Kk][Uu]_.*)$`
	oneLinePattern  = `^[^\r\n]*\S[^\r\n]*$`
)

// rootBlock is all that may stand in dokku.hcl.
func rootBlock() block {
	root := appBlock()
	environment := block{name: "environment", label: "name", labelCheck: checkLabel, labelForm: labelPattern,
		doc:        "What is different in one environment; the one that --environment or $DOKKU_ENVIRONMENT names counts.",
		attributes: root.attributes, blocks: root.blocks}
	one := block{name: "app", label: "name", labelCheck: checkLabelOfApp, labelForm: appPattern,
		doc:        "One of several apps; what stands outside these blocks holds for all of them.",
		attributes: root.attributes, blocks: append(slices.Clone(root.blocks), environment)}
	root.blocks = append(root.blocks, environment, one, serverBlock())
	return root
}

// appBlock is what describes an app.
func appBlock() block {
	return block{
		attributes: []attribute{
			{name: "app", kind: aText, check: checkApp, pattern: appPattern, usual: "the folder's name", example: `"my-app"`,
				doc: "The app's name on the host.",
				set: func(d *draft, _ string, v value) { d.app.Name = v.text }},
			{name: "secrets", kind: aList, check: declaredKey, full: true, pattern: envPattern, never: hostsOwnKeys, example: `["API_TOKEN"]`,
				doc: "Names of config keys whose values are taken from the environment of dokku-push.",
				set: func(d *draft, _ string, v value) { d.app.Secrets = v.list }},
			{name: "domains", kind: aList, check: checkDomain, pattern: `^(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`, usual: "APP.HOSTNAME of the host", example: `["www.example.com"]`,
				doc: "The names that the app answers to; an empty list: none.",
				set: func(d *draft, _ string, v value) { d.app.Domains = &v.list }},
			{name: "ports", kind: aList, check: checkPort, all: checkPorts, pattern: `^(http|https|grpc|grpcs|tcp|udp):[1-9][0-9]{0,4}:[1-9][0-9]{0,4}$`,
				usual: "what the image exposes, else http:80:5000", example: `["http:80:5000"]`,
				doc: "The ports of the host and where they lead: scheme:host:container.",
				set: func(d *draft, _ string, v value) { d.app.Ports = &v.list }},
		},
		blocks: []block{hostBlock(), imageBlock(), buildBlock(), configBlock(), formationBlock(), checksBlock(), storageBlock(),
			dockerOptionsBlock(), nginxBlock(), serviceBlock(), reviewBlock()},
	}
}

func hostBlock() block {
	return block{name: "host", label: "name", single: true, labelCheck: checkHostName, labelForm: labelPattern, doc: "The host to push to.",
		attributes: []attribute{
			{name: "address", kind: aText, check: checkAddress, pattern: `^[A-Za-z0-9_.\[][^\s/]*$`, required: true, example: `"dokku@host"`,
				doc: "Where it is reached over ssh: [user@]host[:port].",
				set: func(d *draft, _ string, v value) { d.app.Host.Address = v.text }},
			{name: "host_key", kind: aText, check: checkHostKey, pattern: `SHA256:|AAAA`, usual: "known_hosts",
				doc: "The one host key that is accepted: SHA256:… or a public key.",
				set: func(d *draft, _ string, v value) { d.app.Host.HostKey = v.text }},
		}}
}

func imageBlock() block {
	return block{name: "image", doc: "The image and how it travels.",
		attributes: []attribute{
			{name: "registry", kind: aText, check: checkRegistry, pattern: `^[A-Za-z0-9][A-Za-z0-9._/:-]*$`, usual: "none: layers travel over ssh", example: `"registry.example.com/team/app"`,
				doc: "The repository to push to and pull from.",
				set: func(d *draft, _ string, v value) { d.app.Image.Registry = v.text }},
			{name: "platforms", kind: aList, check: checkPlatform, pattern: `^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$`, usual: "the host's own", example: `["linux/amd64"]`,
				doc: "The platforms to build for.",
				set: func(d *draft, _ string, v value) { d.app.Image.Platforms = v.list }},
		}}
}

func configBlock() block {
	return block{name: "config", doc: "Environment variables of the app, as config:set takes them.", total: maxFile,
		open: &attribute{kind: aMap, key: declaredKey, keyForm: envPattern, keyNever: hostsOwnKeys, folded: true, secrets: "secrets = [\"…\"]",
			doc: "One variable.",
			set: func(d *draft, name string, v value) { put(&d.app.Config, name, v.text) }}}
}

func formationBlock() block {
	process := func(change func(*ProcessSpec, value)) func(*draft, string, value) {
		return func(d *draft, name string, v value) {
			if d.app.Formation == nil {
				d.app.Formation = map[string]ProcessSpec{}
			}
			spec := d.app.Formation[name]
			change(&spec, v)
			d.app.Formation[name] = spec
		}
	}
	return block{name: "formation", label: "process type", labelCheck: checkScaled, labelForm: processPattern, doc: "How many containers a process type has, and within which limits.",
		attributes: []attribute{
			{name: "quantity", kind: aNumber, high: maxQuantity, usual: "1 for web, 0 for others", doc: "How many containers run.",
				set: process(func(p *ProcessSpec, v value) { n := int(v.number); p.Quantity = &n })},
			{name: "memory", kind: aSize, low: minMemory, usual: "no limit", example: `"512m"`, doc: "Most memory of one container.",
				set: process(func(p *ProcessSpec, v value) { p.Memory = v.number })},
			{name: "cpu", kind: aDecimal, high: 1024, usual: "no limit", example: `"0.5"`, doc: "Most CPUs of one container.",
				set: process(func(p *ProcessSpec, v value) { p.CPU = v.text })},
			{name: "stop_timeout", kind: aTime, low: 1, high: 3600, usual: "30s", example: `"30s"`, doc: "Time between TERM and KILL.",
				set: process(func(p *ProcessSpec, v value) { p.StopTimeout = time.Duration(v.number) * time.Second })},
			{name: "max_parallel", kind: aNumber, low: -1, high: maxQuantity, usual: "all at once", doc: "Most containers that are started at once; -1: all.",
				set: process(func(p *ProcessSpec, v value) { p.MaxParallel = int(v.number) })},
		}}
}

func checksBlock() block {
	return block{name: "checks", doc: "How new containers are checked, as checks:set, checks:disable and checks:skip do.",
		attributes: []attribute{
			{name: "disabled", kind: aList, check: checkProcessOrAll, pattern: `^(_all_|[a-z0-9][a-z0-9-]*)$`, usual: "none", example: `["worker"]`,
				doc: "Process types whose old containers stop first, unchecked; _all_: every one.",
				set: func(d *draft, _ string, v value) { d.app.Checks.Disabled = v.list }},
			{name: "skipped", kind: aList, check: checkProcessOrAll, pattern: `^(_all_|[a-z0-9][a-z0-9-]*)$`, usual: "none", example: `["worker"]`,
				doc: "Process types that are not checked; _all_: every one.",
				set: func(d *draft, _ string, v value) { d.app.Checks.Skipped = v.list }},
			{name: "wait", kind: aTime, high: 3600, usual: "10s", example: `"10s"`, doc: "How long a process without a healthcheck must run.",
				set: func(d *draft, _ string, v value) { d.app.Checks.Wait = seconds(v) }},
			{name: "wait_to_retire", kind: aTime, high: 86400, usual: "60s", example: `"60s"`, doc: "Most time that old connections get to end.",
				set: func(d *draft, _ string, v value) { d.app.Checks.WaitToRetire = seconds(v) }},
		}}
}

func seconds(v value) *time.Duration { return new(time.Duration(v.number) * time.Second) }

// put writes into a map that may be nil.
func put(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}
