package report

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// tab is how far apart the stops of a tab are shown, in columns.
const tab = 4

// cell is what one character of a line looks like.
type cell struct {
	text  string
	width int // in columns: 0 for an accent that sits on the character before
}

// cells lays a line out. A tab becomes the spaces up to its stop, and a character that
// does not print something that does.
func cells(line string) []cell {
	var laid []cell
	column := 0
	for _, c := range line {
		one := cell{text: visible(c)}
		switch {
		case c == '\t':
			one.width = tab - column%tab
			one.text = strings.Repeat(" ", one.width)
		case !unicode.IsPrint(c):
			one.width = len([]rune(one.text))
		default:
			one.width = columns(c)
		}
		laid = append(laid, one)
		column += one.width
	}
	return laid
}

// columns is how many columns a printable character takes.
func columns(c rune) int {
	if unicode.In(c, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(c).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// visible shows a character that a terminal would obey, or that nobody would see: a
// control as its picture, anything else that does not print by its number.
func visible(c rune) string {
	switch {
	case unicode.IsPrint(c):
		return string(c)
	case c < ' ':
		return string('␀' + c)
	case c == 0x7f:
		return "␡"
	}
	return fmt.Sprintf("<U+%04X>", c)
}

// Legible is text in one line that says what is in it.
func Legible(text string) string {
	var shown strings.Builder
	for _, c := range text {
		shown.WriteString(visible(c))
	}
	return shown.String()
}

// excerpt shows a line, or the part of it around the character at (from 0) where it is
// wider than room columns, and the column in which that character begins. room 0 is
// room enough.
func excerpt(line string, at, room int) (text string, caret int) {
	laid := cells(line)
	at = min(at, len(laid))
	for at > 0 && at < len(laid) && laid[at].width == 0 {
		at-- // an accent stands where its letter does
	}
	if room == 0 || span(laid) <= room {
		return join(laid), span(laid[:at])
	}
	const ellipsis = "…"
	room -= 2 * len([]rune(ellipsis))
	first := 0
	for first < at && span(laid[first:at]) > room*2/3 {
		first++
	}
	last := first
	for last < len(laid) && span(laid[first:last+1]) <= room {
		last++
	}
	text, caret = join(laid[first:last]), span(laid[first:min(at, last)])
	if first > 0 {
		text, caret = ellipsis+text, caret+1
	}
	if last < len(laid) {
		text += ellipsis
	}
	return text, caret
}

func span(laid []cell) int {
	sum := 0
	for _, one := range laid {
		sum += one.width
	}
	return sum
}

func join(laid []cell) string {
	var text strings.Builder
	for _, one := range laid {
		text.WriteString(one.text)
	}
	return text.String()
}
