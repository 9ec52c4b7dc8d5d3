package manifest

import (
	"fmt"
	"strings"
	"unicode"
)

const maxLine = 64 << 10 // bytes of a Procfile's line: longer ones break Dokku's own reader

// ParseProcfile reads a Procfile: lines of `name: command`, comments with #. It
// is stricter than any one of the tools that read Procfiles, so that what it takes
// means the same to all of them. On a mistake the Procfile is nil.
func ParseProcfile(name string, text []byte) (*Procfile, Diagnostics) {
	procfile, s := parseProcfile(name, text)
	if procfile != nil && len(procfile.Processes) == 0 {
		s.whole(Mistake, "it declares no process", "write a line such as web: ./server, or remove the file")
		procfile = nil
	}
	return procfile, s.result()
}

// parseProcfile is ParseProcfile that takes an empty file for a Procfile without
// processes.
func parseProcfile(name string, text []byte) (*Procfile, *source) {
	r := &procfileReader{source: newSource(name, text), lines: map[string]Process{}, crlf: -1}
	if r.failed() {
		return nil, r.source
	}
	offset := 0
	for number, line := range strings.Split(r.text, "\n") {
		r.line(number+1, offset, line)
		offset += len(line) + 1
	}
	if r.crlf >= 0 {
		r.advice(r.crlf, "lines end with CR LF", "save the file with LF line ends")
	}
	if r.failed() {
		return nil, r.source
	}
	if p := r.procfile.Processes; len(p) == 1 && p[0].Name == Release {
		r.whole(Advice, "it has nothing but release: nothing will keep running", "write a line such as web: ./server")
	}
	return &r.procfile, r.source
}

// String prints the Procfile in its canonical form: a line a process, no
// comments.
func (p *Procfile) String() string {
	var text strings.Builder
	for _, process := range p.Processes {
		fmt.Fprintf(&text, "%s: %s\n", process.Name, process.Command)
	}
	return text.String()
}

type procfileReader struct {
	*source
	procfile Procfile
	lines    map[string]Process // by the name as it would be in lower case with hyphens
	crlf     int                // the first line that ends so, or -1
}

func (r *procfileReader) line(number, offset int, line string) {
	if len(line) > maxLine {
		r.mistake(offset, fmt.Sprintf("the line is longer than %d KiB", maxLine>>10), "put the command into a script and call that")
		return
	}
	line, isCRLF := strings.CutSuffix(line, "\r")
	if isCRLF && r.crlf < 0 {
		r.crlf = offset + len(line)
	}
	trimmed := strings.TrimLeft(line, " \t")
	indent := len(line) - len(trimmed)
	offset += indent
	switch {
	case trimmed == "" || trimmed[0] == '#':
		return
	case strings.HasPrefix(trimmed, "//"):
		r.advice(offset, "// begins a comment only for some tools", "write #")
		return
	case isConflict(trimmed):
		r.mistake(offset, "a merge conflict is left in the file", "settle it and take the marker out")
		return
	}
	if i := strings.IndexFunc(trimmed, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }); i >= 0 {
		r.mistake(offset+i, "there is a control character in the line", "take it out")
		return
	}
	name, rest, ok := strings.Cut(trimmed, ":")
	if !ok {
		r.mistake(offset, "the line is no process", "write name: command, such as web: ./server; comments begin with #")
		return
	}
	if indent > 0 {
		r.advice(offset, "there is space before the name", "begin the line with the name: some tools skip the line")
	}
	if tight := strings.TrimRight(name, " \t"); tight != name {
		r.advice(offset+len(tight), "there is space before the colon", "write "+show(tight)+": some tools skip the line")
		name = tight
	}
	command := strings.TrimLeft(rest, " \t")
	at := offset + len(trimmed) - len(command)
	r.process(Process{Name: name, Command: strings.TrimRight(command, " \t"), Line: number}, offset, at)
}

// process adds a process whose name and command stand at these offsets.
func (r *procfileReader) process(p Process, nameAt, commandAt int) {
	if problem, hint := processName(p.Name); problem != "" {
		r.mistake(nameAt, problem, hint)
	}
	if i := commentIn(p.Command); i >= 0 {
		p.Command = strings.TrimRight(p.Command[:i], " \t")
		if p.Command != "" {
			r.advice(commandAt+i, "from # on this is taken for a comment", "put comments on lines of their own: some tools make it a part of the command")
		}
	}
	if i := strings.Index(p.Command, " #"); i >= 0 {
		r.advice(commandAt+i+1, "# in a command is where Dokku's own reader cuts it off", "move the command into a script")
	}
	folded := fixName(p.Name, false)
	switch former, twice := r.lines[folded]; {
	case p.Command == "":
		r.mistake(nameAt, show(p.Name)+" has no command", "write one after the colon, or take the line out")
	case len(p.Name)+len(p.Command)+2 > maxLine:
		r.mistake(nameAt, fmt.Sprintf("the line is longer than %d KiB", maxLine>>10), "put the command into a script and call that")
	case twice && former.Name == p.Name:
		r.mistake(nameAt, fmt.Sprintf("%s stands already on line %d", show(p.Name), former.Line), "keep one of the two")
	case twice:
		r.mistake(nameAt, fmt.Sprintf("%s and %s on line %d would be the same process type", show(p.Name), show(former.Name), former.Line), "give one of them another name")
	case p.Name == "web" && !strings.Contains(p.Command, "$PORT") && !strings.Contains(p.Command, "${PORT"):
		r.advice(commandAt, "the command of web does not name $PORT", "let it listen on $PORT; all is well if the program reads the variable itself")
	}
	if _, known := r.lines[folded]; !known && folded != "" {
		r.lines[folded] = p
	}
	r.procfile.Processes = append(r.procfile.Processes, p)
}

func isConflict(line string) bool {
	for _, marker := range [...]string{"<<<<<<<", "|||||||", "=======", ">>>>>>>"} {
		if strings.HasPrefix(line, marker) {
			return true
		}
	}
	return false
}

// commentIn returns where a comment begins as a shell sees it: at a # that begins
// a word outside quotes. It returns -1 when there is none.
func commentIn(command string) int {
	var quote byte
	wordStart := true
	for i := 0; i < len(command); i++ {
		c := command[i]
		switch {
		case c == '\\' && quote != '\'':
			i++ // the next character means itself
			wordStart = false
			continue
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '#' && wordStart:
			return i
		}
		wordStart = quote == 0 && (c == ' ' || c == '\t')
	}
	return -1
}
