package manifest

import (
	"slices"
	"time"
)

// The part of the table that says what surrounds an app on the host, and what a host
// itself is.

func storageBlock() block {
	return block{name: "storage", doc: "Folders and volumes of the host in the app's containers, as storage:mount does.",
		attributes: []attribute{
			{name: "mounts", kind: aList, check: checkMount, all: checkMounts, pattern: `^[A-Za-z0-9/][^:]*:/[^:]*(:[A-Za-z,]+)?$`, usual: "none", example: `["/var/lib/dokku/data/storage/app:/data"]`,
				doc: "HOST_PATH_OR_VOLUME:CONTAINER_PATH[:OPTIONS]; an empty list: none.",
				set: func(d *draft, _ string, v value) {
					mounts := []Mount{}
					for _, text := range v.list {
						mounts = append(mounts, splitMount(text))
					}
					d.app.Storage = &mounts
				}},
		}}
}

func dockerOptionsBlock() block {
	phase := func(name, doc string, check check, field func(*DockerOptions) *[]string) attribute {
		return attribute{name: name, kind: aList, check: check, options: true, pattern: `^--?[a-z]`, usual: "none", example: `["--shm-size 256m"]`, doc: doc,
			set: func(d *draft, _ string, v value) { *field(&d.app.DockerOptions) = v.list }}
	}
	return block{name: "docker_options", doc: "Options in docker's own words, one a text, as docker-options:add takes them.",
		attributes: []attribute{
			phase("build", "When the image is built.", checkBuildOption, func(o *DockerOptions) *[]string { return &o.Build }),
			phase("deploy", "When a container of a deploy is made.", checkRunOption, func(o *DockerOptions) *[]string { return &o.Deploy }),
			phase("run", "When a container of run or cron is made.", checkRunOption, func(o *DockerOptions) *[]string { return &o.Run }),
		}}
}

func nginxBlock() block {
	return block{name: "nginx", doc: "Properties of nginx:set, by their names in Dokku.",
		open: &attribute{kind: aMap, words: nginxProperties(), key: checkNginxProperty, entry: checkNginxValue, pattern: `^[^;{}"'\\#\r\n]+$`, doc: "One property.",
			set: func(d *draft, name string, v value) { put(&d.app.Nginx, name, v.text) }}}
}

func serviceBlock() block {
	service := func(change func(*Service, value)) func(*draft, string, value) {
		return func(d *draft, name string, v value) {
			i := slices.IndexFunc(d.app.Services, func(s Service) bool { return s.Name == name })
			if i < 0 {
				i = len(d.app.Services)
				d.app.Services = append(d.app.Services, Service{Name: name, Link: true})
			}
			change(&d.app.Services[i], v)
		}
	}
	return block{name: "service", label: "name", labelCheck: checkLabel, labelForm: labelPattern, doc: "A service of a plugin, such as a database, that the app uses.",
		attributes: []attribute{
			{name: "plugin", kind: aText, check: checkPlugin, pattern: `^[a-z0-9][a-z0-9-]*$`, required: true, example: `"postgres"`, doc: "The plugin that runs it.",
				set: service(func(s *Service, v value) { s.Plugin = v.text })},
			{name: "link", kind: aTruth, usual: "true", doc: "Whether the app is linked to it.",
				set: service(func(s *Service, v value) { s.Link = v.truth })},
		}}
}

func reviewBlock() block {
	return block{name: "review", doc: "How review apps are made: dokku-push review up.",
		attributes: []attribute{
			{name: "domain", kind: aText, check: checkReviewDomain, pattern: `^[a-z0-9-]+(\.[a-z0-9-]+)+$`, usual: "the host's", example: `"review.example.com"`, doc: "The domain under which they answer.",
				set: func(d *draft, _ string, v value) { d.app.Review.Domain = v.text }},
			{name: "ttl", kind: aTime, low: 60, high: 365 * 86400, usual: "until it is destroyed", example: `"72h"`, doc: "How long one lives after its last push; review:set APP ttl on the host bounds it.",
				set: func(d *draft, _ string, v value) { d.app.Review.TTL = time.Duration(v.number) * time.Second }},
			{name: "max", kind: aNumber, low: 1, high: 1000, usual: "no limit", doc: "Most of them at once; review:set APP max on the host bounds it, too.",
				set: func(d *draft, _ string, v value) { d.app.Review.Max = int(v.number) }},
			{name: "inherit", kind: aList, check: declaredKey, full: true, pattern: envPattern, never: hostsOwnKeys, usual: "nothing", example: `["LOG_LEVEL"]`, doc: "Config keys that they take over from the app, and the only secrets that they are given.",
				set: func(d *draft, _ string, v value) { d.app.Review.Inherit = v.list }},
		}}
}

func serverBlock() block {
	return block{name: "server", label: "name", labelCheck: checkLabel, labelForm: labelPattern, doc: "A host: what dokku-push host apply makes of it.",
		attributes: []attribute{
			{name: "address", kind: aText, check: checkAddress, pattern: `^[A-Za-z0-9_.\[][^\s/]*$`, example: `"root@host"`, doc: "Where it is reached over ssh.",
				set: func(d *draft, _ string, v value) { d.server.Address = v.text }},
			{name: "host_key", kind: aText, check: checkHostKey, pattern: `SHA256:|AAAA`, doc: "The one host key that is accepted.",
				set: func(d *draft, _ string, v value) { d.server.HostKey = v.text }},
			{name: "apps", kind: aList, check: checkApp, pattern: `^[a-z0-9][a-z0-9.-]{0,62}$`, example: `["my-app"]`, doc: "Apps that exist.",
				set: func(d *draft, _ string, v value) { d.server.Apps = v.list }},
			{name: "domains", kind: aList, check: checkDomain, pattern: `^(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`, example: `["example.com"]`, doc: "Global domains.",
				set: func(d *draft, _ string, v value) { d.server.Domains = &v.list }},
		},
		blocks: []block{
			{name: "config", doc: "Global config.", total: maxFile,
				open: &attribute{kind: aMap, key: declaredKey, keyForm: envPattern, keyNever: hostsOwnKeys, folded: true, doc: "One variable.",
					set: func(d *draft, name string, v value) { put(&d.server.Config, name, v.text) }}},
			{name: "plugin", label: "name", labelCheck: checkPlugin, labelForm: `^[a-z0-9][a-z0-9-]*$`, doc: "A plugin that is installed.",
				attributes: []attribute{
					{name: "url", kind: aText, check: checkGitURL, pattern: `^(https://|git@|ssh://)`, required: true, example: `"https://github.com/dokku/dokku-redis.git"`, doc: "Where it comes from.",
						set: func(d *draft, name string, v value) { d.plugin(name).URL = v.text }},
					{name: "committish", kind: aText, check: checkCommittish, pattern: `^[A-Za-z0-9][A-Za-z0-9._/-]*$`, usual: "the default branch", example: `"1.2.3"`, doc: "A tag, branch or commit.",
						set: func(d *draft, name string, v value) { d.plugin(name).Committish = v.text }},
				}},
			{name: "ssh_key", label: "name", labelCheck: checkLabel, labelForm: labelPattern, doc: "A key that may use the host.",
				attributes: []attribute{
					{name: "public_key", kind: aText, check: checkPublicKey, pattern: `^[a-z0-9@.-]+ AAAA`, required: true, example: `"ssh-ed25519 AAAA…"`, doc: "One line of a .pub file.",
						set: func(d *draft, name string, v value) {
							d.server.Keys = append(d.server.Keys, ServerKey{Name: name, PublicKey: v.text})
						}},
				}},
		}}
}

// plugin returns the entry of a plugin, which is made if there is none.
func (d *draft) plugin(name string) *ServerPlugin {
	i := slices.IndexFunc(d.server.Plugins, func(p ServerPlugin) bool { return p.Name == name })
	if i < 0 {
		i = len(d.server.Plugins)
		d.server.Plugins = append(d.server.Plugins, ServerPlugin{Name: name})
	}
	return &d.server.Plugins[i]
}
