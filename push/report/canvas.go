package report

import (
	"fmt"
	"io"
	"strings"
)

// Size is how many columns and lines a terminal has now; 0: nobody knows. It is asked
// before each drawing, so that a window may change while a push runs.
type Size func() (columns, lines int)

// columnsUnknown is how wide a terminal is that does not say.
const columnsUnknown = 80

// asEmoji makes a picture of the character before it.
const asEmoji = '\ufe0f'

// canvas is the end of a terminal's text: some lines that are drawn anew.
type canvas struct {
	out   io.Writer
	size  Size
	drawn []int // columns of each line that is there
}

// columns are those of the terminal.
func (c *canvas) columns() int {
	if columns, _ := c.size(); columns > 0 {
		return columns
	}
	return columnsUnknown
}

// show writes text, which stays, and below it the lines that do not: in one piece, for
// what is erased and written in two flickers. Of more lines than there is room for the
// last are drawn: nothing above the screen's edge can be erased.
func (c *canvas) show(text string, lines []string) {
	var all strings.Builder
	if up := c.height(); up > 0 {
		fmt.Fprintf(&all, "\x1b[%dA\x1b[J", up)
	}
	all.WriteString(text)
	c.drawn = nil
	if _, rows := c.size(); rows > 0 && len(lines) > max(1, rows-1) {
		lines = lines[len(lines)-max(1, rows-1):]
	}
	for _, line := range lines {
		line, wide := cut(line, c.columns()-1)
		c.drawn = append(c.drawn, wide)
		all.WriteString(line + "\n")
	}
	if all.Len() > 0 {
		_, _ = io.WriteString(c.out, all.String()) // a terminal that is gone is looked at by nobody
	}
}

// height is how many lines of the terminal are to be erased: one that has become narrower
// has broken those that no longer fit.
func (c *canvas) height() (lines int) {
	columns, rows := c.columns(), 0
	for _, wide := range c.drawn {
		lines += max(1, (wide+columns-1)/columns)
	}
	if _, rows = c.size(); rows > 0 {
		lines = min(lines, max(1, rows-1))
	}
	return lines
}

// cut is the part of a line that fits, and its columns. A line that went on in the next
// row would be missed when it is erased.
func cut(line string, room int) (part string, wide int) {
	line = strings.ReplaceAll(line, "\t", " ")
	for i, c := range line {
		more := columns(c)
		if c == asEmoji {
			more = 1 // some terminals make two columns of what was one
		}
		if wide+more > room {
			return line[:i], wide
		}
		wide += more
	}
	return line, wide
}
