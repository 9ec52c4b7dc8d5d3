package pack

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStory(t *testing.T) {
	var lines []string
	s := &story{output: func(line string) { lines = append(lines, line) }}
	fmt.Fprint(s, "\x1b[36m===> BUIL")
	fmt.Fprint(s, "DING\x1b[0m\r\nWarning: Did not find SBOM lifecycle.sbom.cdx.json in /cnb\n 10%\r 20%\r100% \n\n")
	s.Warn("Detected pack is running in a container; this is unsafe")
	s.Debugf("never %s", "shown")
	s.Infof("%d layers", 3)
	fmt.Fprint(s, "the last word")
	s.end()
	s.end()
	if diff := cmp.Diff([]string{"===> BUILDING", "100%", "", "3 layers", "the last word"}, lines); diff != "" {
		t.Error(diff)
	}
}
