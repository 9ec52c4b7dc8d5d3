package dockerfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSourceDate: with SOURCE_DATE_EPOCH two daemons that know nothing of each other make
// one image of one tree, whatever the times of its files.
func TestSourceDate(t *testing.T) {
	b := newBench(t, map[string]string{"a.txt": "a"})
	host, _ := newRegistry(t, b)
	b.write("Dockerfile", "FROM "+host+"/base\nRUN echo made > /made\nCOPY a.txt /a\n")
	b.request.Frontend = map[string]string{sourceDate: "1700000000"}
	var ids []string
	for day := range 2 {
		when := time.Now().Add(-time.Duration(day) * 24 * time.Hour)
		if err := os.Chtimes(filepath.Join(b.request.Dir, "a.txt"), when, when); err != nil {
			t.Fatal(err)
		}
		b.daemon, b.cache = startDaemon(t), t.TempDir()
		image := b.build()
		config, err := image.ConfigFile()
		if err != nil || config.Created.Unix() != 1700000000 {
			t.Errorf("made at %v, %v", config.Created, err)
		}
		ids = append(ids, image.ID+" "+strings.Join(digests(t, image), " "))
	}
	if ids[0] != ids[1] {
		t.Errorf("one tree gave\n%s\n%s", ids[0], ids[1])
	}
}
