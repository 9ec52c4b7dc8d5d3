package dockerfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// askAgent asks the ssh-agent at $SSH_AUTH_SOCK which keys it has, and prints its answer.
const askAgent = `package main

import (
	"encoding/binary"
	"io"
	"log"
	"net"
	"os"
)

func main() {
	agent, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		log.Fatal(err)
	}
	if _, err = agent.Write([]byte{0, 0, 0, 1, 11}); err != nil {
		log.Fatal(err)
	}
	var length uint32
	if err = binary.Read(agent, binary.BigEndian, &length); err == nil {
		_, err = io.CopyN(os.Stdout, agent, int64(length))
	}
	if err != nil {
		log.Fatal(err)
	}
}
`

// newAgent is an ssh-agent with one key; comment is the key's.
func newAgent(t *testing.T, comment string) (socket, private string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "dkp-ssh-") // a socket's path has a hundred bytes at most
	if err != nil {
		t.Fatal(err)
	}
	socket, key := filepath.Join(dir, "agent"), filepath.Join(dir, "key")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
		_ = os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("ssh-agent does not listen")
		}
	}
	for _, command := range []*exec.Cmd{exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, "-C", comment), exec.Command("ssh-add", "-q", key)} {
		command.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command.Args, err, out)
		}
	}
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	return socket, string(text)
}

// TestSSH: a step that dokku.hcl names speaks to this machine's ssh-agent, another does not,
// and nothing of a key stays in the image.
func TestSSH(t *testing.T) {
	b := newBench(t, map[string]string{"ask.go": askAgent})
	compile := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", "ask", "ask.go")
	compile.Dir, compile.Env = b.dir, append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	socket, private := newAgent(t, canary)
	b.write("Dockerfile", "FROM "+base+" AS tool\nCOPY ask /ask\n"+
		"FROM tool AS ids\nRUN --mount=type=ssh,id=deploy,required /ask | head -c 9000 > /dev/null && echo asked "+canary[7:]+"\n"+
		"FROM tool\nRUN --mount=type=ssh,required /ask && test ! -e /root/.ssh && echo asked > /done\n")
	b.getenv = func(name string) (string, bool) { return socket, name == "SSH_AUTH_SOCK" }
	if e := b.fails(); strings.Contains(e.Error(), "PRIVATE") {
		t.Error(e)
	}
	b.request.App.Build.SSH = []string{"default", "deploy"}
	image := b.build()
	if text, _ := file(t, image, "done"); text != "asked\n" || !b.printed(canary) {
		t.Errorf("the step left %q, and printed\n%s", text, strings.Join(b.lines, "\n"))
	}
	clean(t, image, canary)
	clean(t, image, strings.Split(private, "\n")[1])
	b.request.App.Build.Dockerfile.Target = "ids"
	if b.build(); !b.printed("asked " + canary[7:]) {
		t.Errorf("the step with an id printed\n%s", strings.Join(b.lines, "\n"))
	}
	for _, bad := range []string{"", "/nowhere"} {
		b.getenv = func(string) (string, bool) { return bad, bad != "" }
		if _, err := b.try(); api.AsError(err) == nil || api.AsError(err).Code != api.Configuration || !strings.Contains(api.AsError(err).Hint, "ssh-add") || len(b.lines) > 0 {
			t.Errorf("an agent at %q: %v", bad, err)
		}
	}
}
