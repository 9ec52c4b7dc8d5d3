package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent/state"
	"github.com/dokku-push/dokku-push/api"
)

// export writes an env in one of Dokku's forms (PLUGIN-CONTRACT 5.4).
func export(env map[string]string, format string) (string, error) {
	keys := slices.Sorted(maps.Keys(env))
	each := func(line func(key string) string, end string) (string, error) {
		var text strings.Builder
		for _, key := range keys {
			text.WriteString(line(key) + end)
		}
		return text.String(), nil
	}
	switch format {
	case "exports":
		return each(func(key string) string { return "export " + key + "=" + quoted(env[key]) }, "\n")
	case "shell":
		return each(func(key string) string { return key + "=" + quoted(env[key]) }, " ")
	case "envfile":
		text, err := state.FormatEnv(env)
		return string(text), err
	case "docker-args":
		return each(func(key string) string { return "--env=" + key + "=" + quoted(env[key]) }, " ")
	case "docker-args-keys":
		return each(func(key string) string { return "--env=" + key }, " ")
	case "pack-keys":
		return each(func(key string) string { return "--env " + key }, " ")
	case "pretty":
		width := 0
		for _, key := range keys {
			width = max(width, len(key)+1)
		}
		return each(func(key string) string {
			return fmt.Sprintf("%-*s  %s", width, key+":", strings.ReplaceAll(env[key], "\n", `\n`))
		}, "\n")
	case "json":
		object := map[string]string{}
		maps.Copy(object, env)
		return marshal(object)
	case "json-list":
		type pair struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		}
		list := []pair{}
		for _, key := range keys {
			list = append(list, pair{key, env[key]})
		}
		return marshal(list)
	}
	return "", api.Errorf(api.Usage, "", "Unknown export format: %s", format)
}

func marshal(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text) + "\n", err
}

// quoted is one word for a shell, whatever is in it.
func quoted(value string) string { return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'" }
