package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// logEvent notes a trigger for `dokku events`, where somebody has switched that on. Values
// of config do not come into the log. That it cannot be written stops nothing.
func logEvent(name string, args []string) {
	file := os.Getenv("DOKKU_EVENTS_LOGFILE")
	if os.Getenv("DOKKU_EVENTS") == "" || file == "" {
		return
	}
	words := make([]string, len(args))
	for n, word := range args {
		words[n] = word
		if key, _, pair := strings.Cut(word, "="); pair {
			words[n] = key
		}
	}
	log, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return
	}
	defer log.Close()
	line := fmt.Sprintf("%s dokku[%d]: INVOKED: %s( %s ) NAME=%s FINGERPRINT=%s", time.Now().Format(time.RFC3339), os.Getpid(), name,
		strings.Join(words, " "), os.Getenv("NAME"), os.Getenv("FINGERPRINT"))
	_, _ = fmt.Fprintln(log, strings.Map(func(c rune) rune {
		if c < ' ' {
			return ' '
		}
		return c
	}, line))
}
