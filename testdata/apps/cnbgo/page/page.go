// Package page is the app's one page.
package page

import (
	"fmt"
	"net/http"
)

// Handler answers with the greeting, and with the files of a folder beside it.
func Handler(greeting, public string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, greeting) })
	mux.Handle("GET /", http.FileServer(http.Dir(public)))
	return mux
}
