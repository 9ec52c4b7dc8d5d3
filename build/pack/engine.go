package pack

import (
	"bufio"
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// lateOutput is how long a container's output may come after its end.
const lateOutput = 10 * time.Second

// engine is the engine as pack uses it, with two habits mended. pack stops reading a
// container's output when it has ended badly, and so loses the last lines, which are the
// ones that say why; here the end is told after the last line. And a container whose
// making is cut off would stay behind without a name; here it is made, and then removed.
type engine struct {
	*client.Client
	memory int64 // bytes that each container may use; 0: no limit
	shares int64 // of the processor, beside 1024 of any other container; 0: as any other
	cpus   int64 // billionths of a processor; 0: no limit

	mu   sync.Mutex
	read map[string]chan struct{} // by container: closed when all output was read
}

// whole is the channel of a container's output.
func (e *engine) whole(id string) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read == nil {
		e.read = map[string]chan struct{}{}
	}
	if e.read[id] == nil {
		e.read[id] = make(chan struct{})
	}
	return e.read[id]
}

// ContainerCreate is not cut off: pack removes what it knows of. What the container may
// use of the machine is said here, for pack has no word for it.
func (e *engine) ContainerCreate(ctx context.Context, options client.ContainerCreateOptions) (client.ContainerCreateResult, error) {
	if err := ctx.Err(); err != nil {
		return client.ContainerCreateResult{}, err
	}
	if options.HostConfig == nil {
		options.HostConfig = &container.HostConfig{}
	}
	if e.memory > 0 {
		options.HostConfig.Memory, options.HostConfig.MemorySwap = e.memory, e.memory
	}
	if e.shares > 0 {
		options.HostConfig.CPUShares = e.shares
	}
	if e.cpus > 0 {
		options.HostConfig.NanoCPUs = e.cpus
	}
	return e.Client.ContainerCreate(context.WithoutCancel(ctx), options)
}

// ContainerAttach notices when the output has been read to its end.
func (e *engine) ContainerAttach(ctx context.Context, id string, options client.ContainerAttachOptions) (client.ContainerAttachResult, error) {
	attached, err := e.Client.ContainerAttach(ctx, id, options)
	if err == nil {
		end := e.whole(id)
		attached.Reader = bufio.NewReader(&toTheEnd{from: attached.Reader, tell: sync.OnceFunc(func() { close(end) })})
	}
	return attached, err
}

// toTheEnd tells when there is no more to read.
type toTheEnd struct {
	from io.Reader
	tell func()
}

func (r *toTheEnd) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil {
		r.tell()
	}
	return n, err
}

// ContainerWait tells of the container's end after its last line.
func (e *engine) ContainerWait(ctx context.Context, id string, options client.ContainerWaitOptions) client.ContainerWaitResult {
	waiting := e.Client.ContainerWait(ctx, id, options)
	ended, failed := make(chan container.WaitResponse, 1), make(chan error, 1)
	go func() { // lives as long as the container or ctx
		select {
		case end := <-waiting.Result:
			select {
			case <-e.whole(id):
			case <-ctx.Done():
			case <-time.After(lateOutput):
			}
			ended <- end
		case err := <-waiting.Error:
			failed <- err
		}
	}()
	return client.ContainerWaitResult{Result: ended, Error: failed}
}

// containerd says whether the engine keeps images in containerd's store, as newer ones
// do. An engine that does not answer is found out by the next thing asked of it.
func containerd(ctx context.Context, docker *client.Client) bool {
	answer, err := docker.Info(ctx, client.InfoOptions{})
	if err != nil {
		return false
	}
	return slices.Contains(answer.Info.DriverStatus, [2]string{"driver-type", "io.containerd.snapshotter.v1"})
}
