package docker

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dokku-push/dokku-push/agent"
)

// TestDangling: only images without a name are listed, and only with the labels.
func TestDangling(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	ref := w.create(t, script("true"))
	label := map[string]string{"com.dokku.app-name": w.repository}
	committed, err := w.Commit(ctx, ref, w.image, label)
	must(t, err)
	t.Cleanup(func() { _ = w.Untag(t.Context(), committed) }) // gone already, where all went well
	ids := func(labels map[string]string) (found string) {
		images, err := w.Dangling(ctx, labels)
		must(t, err)
		for _, image := range images {
			found += image.ID + " "
		}
		return strings.TrimSpace(found)
	}
	if got := ids(label); got != committed {
		t.Errorf("without a name: %q, want %q", got, committed)
	}
	if got := ids(map[string]string{"com.dokku.app-name": "another"}); got != "" {
		t.Errorf("of another app: %q", got)
	}
	must(t, w.Tag(ctx, committed, w.repository+":kept"))
	if got := ids(label); got != "" {
		t.Errorf("with a name: %q", got)
	}
	must(t, w.Untag(ctx, w.repository+":kept"))
}

// TestEnter: the three streams and the exit code are those of the command.
func TestEnter(t *testing.T) {
	w := newWorld(t)
	ref := w.create(t, script("sleep 60"))
	must(t, w.Start(t.Context(), ref))
	var out, problems bytes.Buffer
	exit, err := w.Enter(t.Context(), ref, []string{"sh", "-c", "cat; echo no >&2; exit 4"}, agent.Streams{In: strings.NewReader("in\n"), Out: &out, Err: &problems})
	if err != nil || exit != 4 || out.String() != "in\n" || problems.String() != "no\n" {
		t.Errorf("%v, %d, %q, %q", err, exit, out.String(), problems.String())
	}
}
