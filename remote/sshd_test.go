package remote

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// asAgent in the environment makes the test binary the host's side: it serves one
// HTTP connection on its standard streams, as a forced command.
const asAgent = "REMOTE_TEST_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) == "" {
		os.Exit(m.Run())
	}
	if command := os.Getenv("SSH_ORIGINAL_COMMAND"); command != api.AgentCommand {
		fmt.Printf("asked for %s\n", command)
		io.Copy(os.Stdout, os.Stdin)
		os.Exit(7)
	}
	serveConn(pipeConn{os.Stdin, os.Stdout}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answerJSON(w, 200, api.Hello{Protocol: api.Protocol, Version: "test", Free: n})
	}))
}

// startSSHD starts Debian's sshd on a free port with a forced command, and returns
// its address and host key.
func startSSHD(t *testing.T, user testKey) (string, testKey) {
	t.Helper()
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		t.Fatalf("openssh-server must be installed for this test: %v", err)
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	dir, hostKey := t.TempDir(), newKey(t)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := write("sshd_config", fmt.Sprintf(`ListenAddress 127.0.0.1
Port %s
HostKey %s
AuthorizedKeysFile %s
PidFile none
StrictModes no
PermitRootLogin forced-commands-only
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
`, port, write("host_key", hostKey.text(t, "")), write("authorized_keys", fmt.Sprintf(`command="%s=1 exec %s",restrict,pty %s`+"\n", asAgent, self, user.line()))))
	var log strings.Builder
	cmd := exec.Command(sshd, "-D", "-e", "-f", config)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for range 1200 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return addr, hostKey
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("sshd does not listen")
	return "", hostKey
}

func TestOpenSSH(t *testing.T) {
	mine := newKey(t)
	addr, hostKey := startSSHD(t, mine)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := newHome(t)
	dir.write(t, "id_ed25519", mine.text(t, ""))
	o := dir.options(me.Username + "@" + addr)
	o.Timeout = 2 * time.Minute
	_, err = Dial(context.Background(), o)
	refused(t, err, api.Refused, hostKey.sum())
	scan := exec.Command("ssh-keyscan", "-T", "60", "-p", strings.Split(addr, ":")[1], "127.0.0.1")
	line, err := scan.Output() // what the hint tells people to do
	if err != nil {
		t.Fatal(err)
	}
	dir.write(t, "known_hosts", string(line))
	conn := dial(t, o)

	var all sync.WaitGroup
	for range 16 { // twice what may be open at once
		all.Go(func() {
			if hello, err := conn.API().Hello(context.Background()); err != nil || hello.Version != "test" {
				t.Error(hello, err)
			}
		})
	}
	all.Wait()

	const size = 8 << 20
	request, err := http.NewRequest(http.MethodPost, AgentURL+"/v2/a", &countingReader{left: size})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := conn.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(body), fmt.Sprint(size)) {
		t.Errorf("%q, %v", body, err)
	}

	var out strings.Builder
	code, err := conn.Run(context.Background(), []string{"config:set", "a", "X=it's"}, strings.NewReader("in"), &out, nil, RunOptions{})
	if want := "asked for config:set a 'X=it'\\''s'\nin"; code != 7 || err != nil || out.String() != want {
		t.Errorf("%d, %v, %q, want %q", code, err, out.String(), want)
	}

	stranger := newKey(t)
	dir.write(t, "id_ed25519", stranger.text(t, ""))
	_, err = Dial(context.Background(), o)
	refused(t, err, api.Refused, stranger.sum())
}
