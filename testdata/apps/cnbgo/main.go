// Cnbgo is an app as buildpacks build it: sources and a Procfile, nothing else.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"example.com/cnbgo/page"
)

const greeting = "Hello from Go, first"

func main() {
	process := "web"
	if len(os.Args) > 1 {
		process = os.Args[1]
	}
	switch process {
	case "web":
		log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), page.Handler(greeting, "public")))
	case "work":
		for ; ; time.Sleep(time.Hour) {
			fmt.Println("at work:", greeting)
		}
	case "release":
		fmt.Println("released:", greeting)
	default:
		log.Fatalf("there is no process %q", process)
	}
}
