package manifest

import (
	"strings"
	"testing"
)

// Each row of CI-AND-MANIFEST-FACTS 4.8, and what is around it: the Procfile in
// canonical form, or nothing, and what is said.
func TestProcfile(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	for _, test := range []struct{ name, text, want, told string }{
		{"usual", "web: ./server -p $PORT\nworker: ./work\n", "web: ./server -p $PORT\nworker: ./work\n", ""},
		{"no last newline", "worker: ./work", "worker: ./work\n", ""},
		{"upper case and underscore", "Worker_1: x", "",
			"Procfile:1:1: process type Worker_1 holds more than lower-case letters, digits and hyphens; write worker-1"},
		{"duplicate", "a: x\nb: y\na: z", "", "Procfile:3:1: a stands already on line 1; keep one of the two"},
		{"duplicate after folding", "worker-1: x\nWorker_1: y", "",
			"Procfile:2:1: process type Worker_1 holds more than lower-case letters, digits and hyphens; write worker-1\n" +
				"Procfile:2:1: Worker_1 and worker-1 on line 1 would be the same process type; give one of them another name"},
		{"junk", "a: x\njust words\n", "", "Procfile:2:1: the line is no process; write name: command, such as web: ./server; comments begin with #"},
		{"conflict", "<<<<<<< HEAD\na: x\n=======\na: y\n>>>>>>> b: c\n", "",
			"Procfile:1:1: a merge conflict is left in the file; settle it and take the marker out\n" +
				"Procfile:3:1: a merge conflict is left in the file; settle it and take the marker out\n" +
				"Procfile:4:1: a stands already on line 2; keep one of the two\n" +
				"Procfile:5:1: a merge conflict is left in the file; settle it and take the marker out"},
		{"comment", "# web: no\n  # more\na: x\n", "a: x\n", ""},
		{"slash comment", "// web: no\na: x\n", "a: x\n", "advice: Procfile:1:1: // begins a comment only for some tools; write #"},
		{"trailing comment", "a: x y # note", "a: x y\n",
			"advice: Procfile:1:8: from # on this is taken for a comment; put comments on lines of their own: some tools make it a part of the command"},
		{"# in quotes", `a: sh -c "x # y"`, "a: sh -c \"x # y\"\n",
			"advice: Procfile:1:13: # in a command is where Dokku's own reader cuts it off; move the command into a script"},
		{"# escaped", `a: x \# y`, "a: x \\# y\n", ""},
		{"# in a word", "a: x#y", "a: x#y\n", ""},
		{"only a comment", "a: # note", "", "Procfile:1:1: a has no command; write one after the colon, or take the line out"},
		{"no command", "web:", "", "Procfile:1:1: web has no command; write one after the colon, or take the line out"},
		{"CRLF", "a: x\r\nb: y\r\n", "a: x\nb: y\n", "advice: Procfile:1:5: lines end with CR LF; save the file with LF line ends"},
		{"BOM", "\ufeffa: x\n", "a: x\n",
			"advice: Procfile:1:1: the file begins with a byte order mark; save it as UTF-8 without one: other tools read the mark as a part of the first line"},
		{"long line", "a: " + long, "", "Procfile:1:1: the line is longer than 64 KiB; put the command into a script and call that"},
		{"long once it is written out", "a:" + long[2:], "", "Procfile:1:1: the line is longer than 64 KiB; put the command into a script and call that"},
		{"no space", "a:x", "a: x\n", ""},
		{"space before the colon", "a : x", "a: x\n", "advice: Procfile:1:2: there is space before the colon; write a: some tools skip the line"},
		{"leading space", "  a: x", "a: x\n", "advice: Procfile:1:3: there is space before the name; begin the line with the name: some tools skip the line"},
		{"no $PORT in web", "web: ./server", "web: ./server\n",
			"advice: Procfile:1:6: the command of web does not name $PORT; let it listen on $PORT; all is well if the program reads the variable itself"},
		{"${PORT:-1} in web", "web: ./server ${PORT:-1}", "web: ./server ${PORT:-1}\n", ""},
		{"release", "release: ./migrate\nworker: x", "release: ./migrate\nworker: x\n", ""},
		{"release alone", "release: ./migrate", "release: ./migrate\n",
			"advice: Procfile: it has nothing but release: nothing will keep running; write a line such as web: ./server"},
		{"empty", "", "", "Procfile: it declares no process; write a line such as web: ./server, or remove the file"},
		{"only comments", "# nothing\n\n", "", "Procfile: it declares no process; write a line such as web: ./server, or remove the file"},
		{"columns are characters", "a: é # ö", "a: é\n",
			"advice: Procfile:1:6: from # on this is taken for a comment; put comments on lines of their own: some tools make it a part of the command"},
		{"not UTF-8", "a: \xff", "", "Procfile:1:4: this byte is not UTF-8; save the file as UTF-8"},
		{"NUL", "a: x\x00", "", "Procfile:1:5: there is a NUL byte in the file; save it as UTF-8 text"},
		{"escape", "a: x\x1b[31m", "", "Procfile:1:5: there is a control character in the line; take it out"},
		{"large", strings.Repeat("#\n", maxFile), "", "Procfile: the file is larger than 1024 KiB; keep large values out of it"},
		{"colon first", ": x", "", "Procfile:1:1: the name of the process type is empty; write one, such as web"},
	} {
		t.Run(test.name, func(t *testing.T) {
			procfile, found := ParseProcfile("Procfile", []byte(test.text))
			sound(t, found)
			same(t, told(found), test.told)
			if got := ""; procfile != nil {
				got = procfile.String()
				same(t, got, test.want)
			} else if test.want != "" {
				t.Error("there is no Procfile")
			}
			if found.Failed() != (procfile == nil) {
				t.Errorf("mistakes %v, Procfile %v", found.Failed(), procfile)
			}
		})
	}
}

func TestProcfileScaled(t *testing.T) {
	procfile, _ := ParseProcfile("Procfile", []byte("release: x\nworker: y\n\nweb: z $PORT\n"))
	same(t, procfile.Scaled(), []string{"worker", "web"})
	same(t, procfile.Processes[2], Process{Name: "web", Command: "z $PORT", Line: 4})
}

func TestManyMistakes(t *testing.T) {
	_, found := ParseProcfile("Procfile", []byte(strings.Repeat("junk\n", 1000)))
	if len(found) != maxDiagnostics+1 || found[maxDiagnostics].String() != "Procfile: 950 more mistakes" {
		t.Errorf("%d: %s", len(found), found[len(found)-1])
	}
}

func FuzzProcfile(f *testing.F) {
	for _, text := range []string{"web: x $PORT\r\nrelease: y\n", "a : 'b # c' # d", "// x\n# y\n a:b", "\ufeffa: x", "a: \\", "<<<<<<<\nA_b:", "\xff\xfe\xff\x00"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		procfile, found := ParseProcfile("Procfile", text)
		sound(t, found)
		if found.Failed() != (procfile == nil) {
			t.Fatalf("mistakes %v, Procfile %v", found.Failed(), procfile)
		}
		if procfile == nil {
			return
		}
		again, found := ParseProcfile("Procfile", []byte(procfile.String()))
		if found.Failed() {
			t.Fatalf("%q is printed as %q: %v", text, procfile, found)
		}
		if len(again.Processes) != len(procfile.Processes) {
			t.Fatalf("%q has other processes than %q", again, procfile)
		}
		for i, process := range procfile.Processes {
			if other := again.Processes[i]; other.Name != process.Name || other.Command != process.Command {
				t.Fatalf("%v became %v", process, other)
			}
		}
		if again.String() != procfile.String() {
			t.Fatalf("%q is printed as %q", procfile, again)
		}
	})
}
