package nginx

import (
	"testing"

	"github.com/dokku-push/dokku-push/internal/contract"
)

func TestContract(t *testing.T) {
	w := start(t)
	contract.Proxy(t, contract.ProxyWorld{Proxy: w.Nginx, Places: w.Places, File: w.file, Serves: func(app, text string) bool {
		status, answer := w.get(app + ".example.com")
		if text == "" {
			return status == 404
		}
		return status == 200 && len(answer) > len(text) && answer[:len(text)] == text
	}})
}
