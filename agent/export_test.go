package agent

// StepsWithUndo names the steps that leave something to take back, in order: a test
// that kills a deploy in each of them must know when there is a new one.
func StepsWithUndo() []string {
	var names []string
	for _, s := range steps() {
		if s.undo != nil {
			names = append(names, s.name)
		}
	}
	return names
}
