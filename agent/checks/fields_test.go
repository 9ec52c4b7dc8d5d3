package checks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/manifest"
)

// shown is what came of a check, in one text.
func shown(said []string, err error) string {
	return strings.Join(said, "\n") + fmt.Sprintf("\n%v", err)
}

// TestFields: each field of a healthcheck makes the difference that it stands for. A new
// field needs a row.
func TestFields(t *testing.T) {
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch {
		case r.URL.Path == "/slow":
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
		case r.URL.Path == "/secret" && r.Header.Get("X-Key") != "k":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/no":
			w.WriteHeader(http.StatusTeapot)
		}
		fmt.Fprint(w, "hello")
	})
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	up := engine{
		container: func() (agent.Container, error) {
			return agent.Container{Running: true, Started: time.Now().Add(-time.Minute)}, nil
		},
		exec: func(_ context.Context, command []string, out io.Writer) (int, error) {
			fmt.Fprint(out, strings.Join(command, " "))
			return 7, nil
		},
	}
	untested := fieldsOf()
	const nobody, refused = "http://127.0.0.1:1", "connection refused"
	type C = manifest.Healthcheck
	for _, row := range []struct {
		field         string
		at            string
		without, with C
		lacks, has    string        // what comes of each
		more          time.Duration // how much longer the second takes at least
		attempts      int32         // how often the server is asked by the second; 0: it does not matter
	}{
		{field: "Name", at: url, without: C{Path: "/"}, with: C{Path: "/", Name: "front"}, lacks: "GET /: ready", has: "front: ready"},
		{field: "Path", at: url, without: C{Path: "/"}, with: C{Path: "/no"}, lacks: "ready", has: "status 418"},
		{field: "Port", at: nobody, without: C{Path: "/", Timeout: 500 * time.Millisecond}, with: C{Path: "/", Port: own}, lacks: refused, has: "ready"},
		{field: "Scheme", at: secure.URL, without: C{Path: "/"}, with: C{Path: "/", Scheme: "https"}, lacks: "400 Bad Request", has: "404 Not Found"},
		{field: "Content", at: url, without: C{Path: "/"}, with: C{Path: "/", Content: "bye"}, lacks: "ready", has: `the body has no "bye"; it begins: "hello"`},
		{field: "Command", at: url, without: C{}, with: C{Command: []string{"is", "up"}}, lacks: "ready", has: `exit code 7; it printed: "is up"`},
		{field: "Headers", at: url, without: C{Path: "/secret"}, with: C{Path: "/secret", Headers: []manifest.Header{{Name: "X-Key", Value: "k"}}}, lacks: "403 Forbidden", has: "ready"},
		{field: "Attempts", at: url, without: C{Path: "/no"}, with: C{Path: "/no", Attempts: 4, Wait: 1}, lacks: "1 of 1 attempts", has: "4 of 4 attempts", attempts: 4},
		{field: "InitialDelay", at: url, without: C{Path: "/"}, with: C{Path: "/", InitialDelay: 80 * time.Millisecond}, lacks: "ready", has: "ready", more: 80 * time.Millisecond},
		{field: "Timeout", at: url, without: C{Path: "/slow"}, with: C{Path: "/slow", Timeout: 10 * time.Millisecond}, lacks: "ready", has: "deadline exceeded"},
		{field: "Wait", at: url, without: C{Path: "/no", Attempts: 3, Wait: 1}, with: C{Path: "/no", Attempts: 3, Wait: 40 * time.Millisecond}, lacks: "3 of 3", has: "3 of 3", more: 80 * time.Millisecond, attempts: 3},
		{field: "Uptime", at: nobody, without: C{Uptime: 1}, with: C{Uptime: time.Minute + 80*time.Millisecond}, lacks: "uptime: ready", has: "uptime: ready", more: 60 * time.Millisecond},
		{field: "Listening", at: nobody, without: C{Uptime: 1}, with: C{Listening: true, Timeout: 500 * time.Millisecond}, lacks: "ready", has: "nothing accepts connections"},
		{field: "Warn", at: url, without: C{Path: "/no"}, with: C{Path: "/no", Warn: true}, lacks: "attempts failed", has: "it only warns\n<nil>"},
		{field: "OnFailure", at: url, without: C{Path: "/no"}, with: C{Path: "/no", OnFailure: &manifest.OnFailure{Command: []string{"tell"}}}, lacks: "attempts failed",
			has: `GET /no: the command of its onFailure failed: exit code 7; it printed: "tell"`},
	} {
		t.Run(row.field, func(t *testing.T) {
			begun := time.Now()
			said, err := check(t, Checker{Containers: up}, probe(t, row.at, row.without))
			first := time.Since(begun)
			if got := shown(said, err); !strings.Contains(got, row.lacks) || row.lacks != row.has && strings.Contains(got, row.has) {
				t.Errorf("without it: %s", got)
			}
			asked.Store(0)
			begun = time.Now()
			said, err = check(t, Checker{Containers: up}, probe(t, row.at, row.with))
			if got := shown(said, err); !strings.Contains(got, row.has) {
				t.Errorf("with it: %s", got)
			}
			if took := time.Since(begun); took < row.more {
				t.Errorf("it took %s, without the field %s", took, first)
			}
			if row.attempts > 0 && asked.Load() != row.attempts {
				t.Errorf("the server was asked %d times", asked.Load())
			}
		})
		delete(untested, row.field)
	}
	if len(untested) > 0 {
		t.Errorf("these fields have no row: %v", untested)
	}
}

// hook is a URL that is told of failures.
func hook(t *testing.T, status int) (url string, told func() []string) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.String()+" "+r.Header.Get("Content-Type")+" "+string(text))
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string { server.Close(); return got }
}

// TestOnFailure: the command comes first, then the URL, once all attempts have failed;
// what becomes of them changes nothing about the check.
func TestOnFailure(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	hooked, told := hook(t, http.StatusNoContent)
	var ran []string
	e := engine{exec: func(_ context.Context, command []string, _ io.Writer) (int, error) {
		ran = append(ran, strings.Join(command, "|"))
		return 0, nil
	}}
	one := manifest.Healthcheck{Name: "front", Path: "/", Attempts: 2, Wait: time.Millisecond,
		OnFailure: &manifest.OnFailure{Command: []string{"tell", "a b"}, URL: hooked + "/T0KEN?x=y"}}
	said, err := check(t, Checker{Containers: e, Near: true}, probe(t, url, one))
	if err == nil || !strings.HasPrefix(err.Error(), "front: 2 of 2 attempts failed") {
		t.Errorf("got %v", err)
	}
	want := []string{"front: the command of its onFailure was told", "front: the url of its onFailure was told"}
	if diff := cmp.Diff(want, said[len(said)-2:]) + cmp.Diff([]string{"tell|a b"}, ran); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(fmt.Sprint(said, err), "T0KEN") {
		t.Errorf("the address is shown: %q", said)
	}
	posted := told()
	if len(posted) != 1 {
		t.Fatalf("the url was told %q", posted)
	}
	head, body, _ := strings.Cut(posted[0], "{")
	var message struct {
		Name   string   `json:"healthcheck_name"`
		Errors []string `json:"errors"`
	}
	if jsonErr := json.Unmarshal([]byte("{"+body), &message); jsonErr != nil || head != "POST /T0KEN?x=y application/json " || message.Name != "front" || len(message.Errors) != 1 || message.Errors[0] != err.Error() {
		t.Errorf("%v: %s", jsonErr, posted[0])
	}
}

// TestOnFailureIsQuiet: nobody is told of a check that passes, of one that nobody waits
// for any more, and of one that is cancelled.
func TestOnFailureIsQuiet(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/yes" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	hooked, told := hook(t, http.StatusOK)
	tell := &manifest.OnFailure{URL: hooked}
	if _, err := check(t, Checker{Near: true}, probe(t, url, manifest.Healthcheck{Path: "/yes", OnFailure: tell})); err != nil {
		t.Error(err)
	}
	_, err := check(t, Checker{Near: true}, probe(t, url, manifest.Healthcheck{Path: "/no"},
		manifest.Healthcheck{Path: "/later", Attempts: 100, Wait: time.Hour, OnFailure: tell}))
	if err == nil {
		t.Error("it passed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := (&Checker{Near: true}).Check(ctx, probe(t, url, manifest.Healthcheck{Path: "/no", Attempts: 100, Wait: time.Hour, OnFailure: tell}), func(string) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if posted := told(); len(posted) > 0 {
		t.Errorf("it was told %q", posted)
	}
}

// TestOnFailureOfTheEnded: a container that ends before its check is done has failed it.
func TestOnFailureOfTheEnded(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	hooked, told := hook(t, http.StatusOK)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(agent.ErrEnded) })
	err := (&Checker{Near: true}).Check(ctx, probe(t, url, manifest.Healthcheck{Name: "front", Path: "/no", Attempts: 100, Wait: time.Hour,
		OnFailure: &manifest.OnFailure{URL: hooked}}), func(string) {})
	if !errors.Is(err, agent.ErrEnded) {
		t.Errorf("got %v", err)
	}
	if posted := told(); len(posted) != 1 || !strings.Contains(posted[0], `"the container ended"`) {
		t.Errorf("it was told %q", posted)
	}
}

// TestOnFailureFails: a URL that leads to this machine, answers with an error, or hangs.
func TestOnFailureFails(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	near, told := hook(t, http.StatusOK)
	broken, _ := hook(t, http.StatusBadGateway)
	sends := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, near, http.StatusTemporaryRedirect) })
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() })
	const long = 30 * time.Second
	for _, test := range []struct {
		url, says string
		near      bool
		timeout   time.Duration
	}{
		{near, "127.0.0.1 is this host's own", false, long},
		{"http://169.254.169.254/latest", "169.254.169.254 is this host's own", false, long},
		{"http://[::ffff:127.0.0.1]:1/", "127.0.0.1 is this host's own", false, long},
		{broken, "answered 502 Bad Gateway", true, long},
		{sends, "answered 307", true, long},
		{hangs, "deadline exceeded", true, 300 * time.Millisecond},
	} {
		said, err := check(t, Checker{Near: test.near}, probe(t, url, manifest.Healthcheck{Name: "front", Path: "/", Timeout: test.timeout, OnFailure: &manifest.OnFailure{URL: test.url}}))
		if err == nil || !strings.HasPrefix(err.Error(), "front: 1 of 1 attempts failed") {
			t.Errorf("%s: %v", test.url, err)
		}
		if last := said[len(said)-1]; !strings.HasPrefix(last, "front: the url of its onFailure failed: ") || !strings.Contains(last, test.says) {
			t.Errorf("%s: it said %q", test.url, last)
		}
	}
	if posted := told(); len(posted) > 0 {
		t.Errorf("it was told %q", posted)
	}
}

// fieldsOf are the names of a healthcheck's fields that a checker looks at: which checks
// there are, by their type, is the deploy's to say, and a description is for people.
func fieldsOf() map[string]bool {
	fields := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[manifest.Healthcheck]()) {
		if field.Name != "Type" && field.Name != "Description" {
			fields[field.Name] = true
		}
	}
	return fields
}
