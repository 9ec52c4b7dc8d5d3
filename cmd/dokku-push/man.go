package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/dokku-push/dokku-push/api"
)

func manFlag(c *client, flags *pflag.FlagSet) {
	flags.BoolVar(&c.manual, "man", false, "as a manual page: dokku-push help --man push | man -l -")
}

// manPages are the manual pages by their files' names, made of the table of commands.
func manPages() map[string]string {
	pages := map[string]string{"dokku-push.1": manProgram()}
	for _, row := range table() {
		pages["dokku-push-"+row.name+".1"] = row.man()
	}
	return pages
}

// manProgram is the page of the program as a whole.
func manProgram() string {
	var page strings.Builder
	manHead(&page, "dokku-push", "build an app here, ship what the host lacks, and deploy exactly that")
	page.WriteString(".SH SYNOPSIS\n\\fBdokku\\-push\\fR [\\fICOMMAND\\fR] [\\fIflags\\fR] [\\fIarguments\\fR]\n")
	page.WriteString(".SH DESCRIPTION\n" + roff("Without a command it is a push. The answer of a command is on the standard output, its story on the standard error.") + "\n")
	page.WriteString(".SH COMMANDS\n")
	for _, row := range table() {
		fmt.Fprintf(&page, ".TP\n%s\n%s\n.br\nSee \\fBdokku\\-push\\-%s\\fR(1).\n", row.synopsis(), roff(row.about), roff(row.name))
	}
	common := pflag.NewFlagSet("", pflag.ContinueOnError)
	common.SortFlags = false
	hostFlags(&client{}, common)
	page.WriteString(".SH OPTIONS\nOf every command that looks at an app:\n")
	manFlags(&page, common)
	page.WriteString(".SH ENVIRONMENT\n" + roff("Everything a flag says can be said by its variable; the flag wins.") + "\n")
	for name := range strings.FieldsFuncSeq(variables, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' }) {
		fmt.Fprintf(&page, ".br\n.B %s\n", roff(name))
	}
	manExits(&page)
	page.WriteString(".SH FILES\n.TP\n.I dokku.hcl\nwhat the app and its hosts are to be like\n.TP\n.IR Procfile , \" app.json\"\nas Dokku reads them\n")
	page.WriteString(".SH SEE ALSO\n")
	manSee(&page, table())
	return page.String()
}

// man is the page of a command.
func (row command) man() string {
	var page strings.Builder
	manHead(&page, "dokku-push-"+row.name, row.about)
	fmt.Fprintf(&page, ".SH SYNOPSIS\n%s\n", row.synopsis())
	fmt.Fprintf(&page, ".SH DESCRIPTION\n%s.\n", roff(strings.ToUpper(row.about[:1])+row.about[1:]))
	flags := row.set(&client{})
	helpFlag(flags)
	page.WriteString(".SH OPTIONS\n")
	manFlags(&page, flags)
	manExits(&page)
	page.WriteString(".SH SEE ALSO\n.BR dokku\\-push (1)\n")
	return page.String()
}

func (row command) synopsis() string {
	text := fmt.Sprintf("\\fBdokku\\-push %s\\fR [\\fIflags\\fR] %s", roff(row.name), roff(row.args))
	return strings.TrimRight(text, " ")
}

// manHead begins a page. It has no date: what it says is made of the program.
func manHead(page *strings.Builder, name, about string) {
	fmt.Fprintf(page, ".\\\" Made of the table of commands by: make docs\n.TH %s 1 \"\" \"dokku\\-push\" \"dokku\\-push manual\"\n.SH NAME\n%s \\- %s\n",
		roff(strings.ToUpper(name)), roff(name), roff(about))
}

// manFlags tells of each flag.
func manFlags(page *strings.Builder, flags *pflag.FlagSet) {
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		kind, about := pflag.UnquoteUsage(flag)
		names := "\\fB\\-\\-" + roff(flag.Name) + "\\fR"
		if flag.Shorthand != "" {
			names = "\\fB\\-" + roff(flag.Shorthand) + "\\fR, " + names
		}
		switch {
		case kind != "" && flag.NoOptDefVal != "":
			names += "[=\\fI" + roff(kind) + "\\fR]"
		case kind != "":
			names += " \\fI" + roff(kind) + "\\fR"
		}
		fmt.Fprintf(page, ".TP\n%s\n%s\n", names, roff(about))
	})
}

// manExits is the table of exit codes.
func manExits(page *strings.Builder) {
	page.WriteString(".SH EXIT STATUS\n")
	for _, row := range api.ExitCodes() {
		fmt.Fprintf(page, ".TP\n.B %d\n%s\n", row.Exit, roff(row.Meaning))
	}
}

func manSee(page *strings.Builder, rows []command) {
	for i, row := range rows {
		comma := ","
		if i == len(rows)-1 {
			comma = ""
		}
		fmt.Fprintf(page, ".BR dokku\\-push\\-%s (1)%s\n", roff(row.name), comma)
	}
}

// roff is text that means nothing to the typesetter.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "\n", " ").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
