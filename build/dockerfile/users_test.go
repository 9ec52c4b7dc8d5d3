package dockerfile

import (
	"strings"
	"testing"
)

// TestOnbuild: a base image's ONBUILD runs in the app's build, with the app's files.
func TestOnbuild(t *testing.T) {
	b := newBench(t, map[string]string{
		"base/Dockerfile": "FROM " + base + "\nWORKDIR /app\nONBUILD COPY . /app\nONBUILD ARG GREETING=hello\nONBUILD RUN echo $GREETING from $(cat name.txt) > made && echo the base builds\n",
		"name.txt":        "app", ".dockerignore": "secret.txt\n", "secret.txt": "x",
	})
	b.request.App.Build.Dir = "base"
	b.build()
	b.request.App.Build.Dir = ""
	b.write("Dockerfile", "FROM "+ImageName(b.app)+"\nCMD [\"cat\", \"made\"]\n")
	b.request.App.Build.Args = map[string]string{"GREETING": "good day"}
	image := b.build()
	if text, _ := file(t, image, "app/made"); text != "good day from app\n" {
		t.Errorf("ONBUILD made %q\n%s", text, strings.Join(b.lines, "\n"))
	}
	if _, there := file(t, image, "app/secret.txt"); there {
		t.Error(".dockerignore was not honoured")
	}
	config, err := image.ConfigFile()
	if err != nil || config.Config.WorkingDir != "/app" || len(config.Config.OnBuild) > 0 {
		t.Errorf("%+v, %v", config.Config, err)
	}
}
