package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dokku-push/dokku-push/agent"
	"github.com/dokku-push/dokku-push/api"
)

// storageCommands are the rows of this noun.
func storageCommands() []Command {
	return []Command{
		{"storage:ensure-directory", "[--chown false|herokuish|heroku|paketo|root] <directory>", "Make a folder for an app's storage", storageEnsure},
		{"storage:list", "<app> [--format text|json]", "List the mounts of an app", storageList},
		{"storage:mount", "<app> <host-path-or-volume:container-path[:options]>", "Mount storage into an app's containers", storageMount},
		{"storage:report", "[<app>] [<flag>]", "Display a storage report for one or more apps", storageReport},
		{"storage:unmount", "<app> <host-path-or-volume:container-path[:options]>", "Unmount storage of an app's containers", storageUnmount},
	}
}

// mounted are the phases that a mount is for, as in Dokku.
var mounted = []string{"docker-options/" + anyProcess + ".deploy", "docker-options/" + anyProcess + ".run"}

var (
	volumeForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]+$`)
	directoryForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,44}$`)
	mountOptions  = []string{"ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent", "shared", "rshared", "slave", "rslave", "private", "rprivate"}
)

// closed are the parts of a host whose mount gives the host away (ALSO-REFUSE 48).
var closed = []string{"/etc", "/root", "/home/dokku", "/var/lib/dokku", "/var/lib/docker", "/var/run", "/run", "/proc", "/sys", "/dev", "/boot"}

// hostPath tells why a path of the host is not for an app, or nothing.
func hostPath(source string) (problem string) {
	clean := filepath.Clean(source)
	if !filepath.IsAbs(source) || slices.Contains(strings.Split(source, "/"), "..") {
		return "names no absolute path of the host"
	}
	if clean == "/" {
		return "mounts the host itself"
	}
	if within(clean, "/var/lib/dokku/data/storage") {
		return ""
	}
	for _, place := range closed {
		if within(clean, place) || within(place, clean) {
			return "mounts " + clean + ", which belongs to the host itself"
		}
	}
	return ""
}

func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// mount reads and checks the one mount of a command.
func (c *Call) mount(app string) (string, error) {
	refuse := func(format string, args ...any) error {
		return api.Errorf(api.Usage, "", format, args...).WithHint("write a host's path or a volume's name, a colon and a path in the container: /var/lib/dokku/data/storage/%s:/data", app)
	}
	if len(c.Args) != 1 || strings.ContainsAny(c.Args[0], " \t\r\n\x00$`'\"\\") {
		return "", refuse("Please specify one mount")
	}
	parts := strings.Split(c.Args[0], ":")
	if len(parts) < 2 || len(parts) > 3 {
		return "", refuse("Storage path must be two valid paths divided by colon.")
	}
	source, target := parts[0], parts[1]
	if !filepath.IsAbs(target) || filepath.Clean(target) == "/" || slices.Contains(strings.Split(target, "/"), "..") {
		return "", refuse("%q is no path in a container below /", target)
	}
	if len(parts) == 3 {
		for option := range strings.SplitSeq(parts[2], ",") {
			if !slices.Contains(mountOptions, option) {
				return "", refuse("%q is no option of a mount", option)
			}
		}
	}
	if !strings.Contains(source, "/") {
		if !volumeForm.MatchString(source) {
			return "", refuse("%q is the name of no volume", source)
		}
		return c.Args[0], nil
	}
	if err := c.mountSource(app, source); err != nil {
		return "", err
	}
	return c.Args[0], nil
}

// mountSource refuses a host's path that is not for this app.
func (c *Call) mountSource(app, source string) error {
	storage := c.Host.Places.Storage()
	if clean := filepath.Clean(source); clean != source || !within(clean, storage) || clean == storage {
		if problem := hostPath(source); problem != "" {
			return api.Errorf(api.Refused, "", "it %s", problem).WithHint("keep what an app stores in %s", storage)
		}
	}
	return c.Host.MayMount(app, source)
}

func storageMount(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	mount, err := call.mount(app)
	if err != nil {
		return err
	}
	return call.change(app, func(now *agent.Settings) error {
		added := false
		for _, property := range mounted {
			if lines := linesOf(now.Properties[property]); !slices.Contains(lines, "-v "+mount) {
				putLines(now.Properties, property, append(lines, "-v "+mount))
				added = true
			}
		}
		if !added {
			return api.Errorf(api.Usage, "", "Mount path already exists.")
		}
		return nil
	})
}

func storageUnmount(ctx context.Context, call *Call) error {
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) != 1 {
		return api.Errorf(api.Usage, "", "Please specify one mount")
	}
	option := "-v " + call.Args[0]
	return call.change(app, func(now *agent.Settings) error {
		removed := false
		for _, property := range mounted {
			lines := linesOf(now.Properties[property])
			left := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return line == option })
			removed = removed || len(left) < len(lines)
			putLines(now.Properties, property, left)
		}
		if !removed {
			return api.Errorf(api.Usage, "", "Mount path does not exist.")
		}
		return nil
	})
}

// mountsOf are the mounts among the docker options of a phase.
func mountsOf(settings agent.Settings, property string) []string {
	var mounts []string
	for _, line := range linesOf(settings.Properties[property]) {
		for _, flag := range []string{"-v ", "--volume ", "--volume=", "-v="} {
			if mount, ok := strings.CutPrefix(line, flag); ok {
				mounts = append(mounts, strings.TrimSpace(mount))
			}
		}
	}
	return mounts
}

// mountLine is a mount as storage:list --format json prints it.
type mountLine struct {
	HostPath      string `json:"host_path"`
	ContainerPath string `json:"container_path"`
	VolumeOptions string `json:"volume_options"`
}

func storageList(ctx context.Context, call *Call) error {
	format, _, err := call.option("--format")
	if err != nil {
		return err
	}
	app, err := call.app(ctx)
	if err != nil {
		return err
	}
	settings, err := call.settings(app)
	if err != nil {
		return err
	}
	mounts := mountsOf(settings, mounted[0])
	switch format {
	case "json":
		list := []mountLine{}
		for _, mount := range mounts {
			parts := append(strings.SplitN(mount, ":", 3), "", "")
			list = append(list, mountLine{parts[0], parts[1], parts[2]})
		}
		return json.NewEncoder(call.Out).Encode(list)
	case "", "text":
		if !call.Quiet {
			call.say("%s volume bind-mounts:", app)
		}
		for _, mount := range mounts {
			call.line("%s", mount)
		}
		return nil
	}
	return api.Errorf(api.Usage, "", "Invalid format: %s", format).WithHint("text or json")
}

func storageReport(ctx context.Context, call *Call) error {
	return call.report(ctx, "storage", func(_ string, settings agent.Settings) ([]reportLine, error) {
		var rows []reportLine
		for _, phase := range agent.Phases() {
			var words []string
			for _, mount := range mountsOf(settings, "docker-options/"+anyProcess+"."+phase) {
				words = append(words, "-v "+mount)
			}
			rows = append(rows, reportLine{"Storage " + phase + " mounts", strings.Join(words, " ")})
		}
		return rows, nil
	})
}

// owners are the users that the images of the builders run as.
var owners = map[string]int{"herokuish": 32767, "heroku": 1000, "paketo": 2000, "root": 0}

// storageEnsure makes a folder of the storage and gives it to the user that the app runs as.
func storageEnsure(_ context.Context, call *Call) error {
	owner, chosen, err := call.option("--chown")
	if err != nil {
		return err
	}
	if len(call.Args) != 1 || !directoryForm.MatchString(call.Args[0]) {
		return api.Errorf(api.Usage, "", "Please specify a directory: lower case letters, digits, ., _ and -, at most 45")
	}
	if !chosen {
		owner = "herokuish"
	}
	id, known := owners[owner]
	if !known && owner != "false" {
		return api.Errorf(api.Usage, "", "Unsupported chown permissions: %s", owner).WithHint("false, herokuish, heroku, paketo or root")
	}
	path := filepath.Join(call.Host.Places.Storage(), call.Args[0])
	if info, err := os.Lstat(path); err == nil && !info.IsDir() {
		return api.Errorf(api.Precondition, "", "%s is there and no folder", path)
	}
	call.say("Ensuring %s exists", path)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	if owner == "false" {
		return nil
	}
	if err := os.Lchown(path, id, id); errors.Is(err, fs.ErrPermission) {
		problem := api.Errorf(api.Precondition, "", "only root can give %s to the user %d", path, id).WithHint("as root: chown %d:%d %s", id, id, path)
		if chosen {
			return problem
		}
		fmt.Fprintf(call.Err, " !     %s\n !     %s\n", problem.Message, problem.Hint)
	} else if err != nil {
		return fmt.Errorf("give the folder away: %w", err)
	} else {
		call.line("Setting directory ownership to %d:%d", id, id)
	}
	call.line("Directory ready for mounting")
	return nil
}
