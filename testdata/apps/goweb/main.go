// Goweb is a small web app with everything an app of this project can have: a
// web process, a worker, a release task, and a healthcheck that means something.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// greeting is what it answers; the image may bring another.
var greeting = cmp.Or(os.Getenv("GREETING"), "Hello from goweb")

func main() {
	process := "web"
	if len(os.Args) > 1 {
		process = os.Args[1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var err error
	switch process {
	case "web":
		err = web(ctx)
	case "worker":
		work(ctx)
	case "release":
		err = release()
	default:
		err = fmt.Errorf("unknown process %q", process)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// marker is what the predeploy script wrote into the image, "none" without it.
func marker() string {
	text, err := os.ReadFile("/app/marker")
	if err != nil {
		return "none"
	}
	return strings.TrimSpace(string(text))
}

func web(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s, marker %s\n", greeting, marker())
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "goweb is well")
	})
	mux.HandleFunc("POST /post", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s took %d bytes\n", greeting, n)
	})
	// Says whether a variable has the value that the asker knows already, never its value.
	mux.HandleFunc("GET /env", func(w http.ResponseWriter, r *http.Request) {
		value, set := os.LookupEnv(r.FormValue("k"))
		switch {
		case !set:
			fmt.Fprintln(w, "unset")
		case value == r.FormValue("is"):
			fmt.Fprintln(w, "same")
		default:
			fmt.Fprintln(w, "other")
		}
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * time.Second)
		fmt.Fprintln(w, greeting)
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "5000"
	}
	server := &http.Server{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		wait, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- server.Shutdown(wait)
	}()
	log.Printf("web listens on port %s", port)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}

func work(ctx context.Context) {
	log.Print("worker started")
	beat := time.NewTicker(10 * time.Second)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			log.Print("worker stopped")
			return
		case <-beat.C:
			log.Print("worker is alive")
		}
	}
}

// release stands for a database migration: it looks at what it was given and says so.
func release() error {
	fmt.Printf("release task of %s, marker %s\n", os.Getenv("DOKKU_APP_NAME"), marker())
	return nil
}
