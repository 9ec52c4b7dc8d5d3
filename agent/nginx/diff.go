package nginx

import (
	"fmt"

	"github.com/pmezard/go-difflib/difflib"
)

const diffContext = 2 // lines around a change

// Diff shows how an app's live file would change, as a unified diff; empty when it
// would not.
func (n *Nginx) Diff(app string, conf []byte) (string, error) {
	path := n.Places.NginxConf(app)
	live, _, err := readFile(path)
	if err != nil {
		return "", fmt.Errorf("read the site of %s: %w", app, err)
	}
	lines := func(text []byte) []string {
		if len(text) == 0 {
			return nil
		}
		return difflib.SplitLines(string(text))
	}
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: lines(live), B: lines(conf), FromFile: path, ToFile: path, Context: diffContext})
	if err != nil {
		return "", fmt.Errorf("compare the sites of %s: %w", app, err)
	}
	return text, nil
}
