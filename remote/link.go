package remote

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// link is one established connection with the jump hosts it runs through.
type link struct {
	clients []*ssh.Client // the target's last
	dead    chan struct{} // closed when the target's connection ended
	silent  atomic.Bool   // it ended because keepalives were not answered
	owned   sync.WaitGroup
}

func (l *link) client() *ssh.Client { return l.clients[len(l.clients)-1] }

// close ends all connections, the innermost first, and waits for their goroutines.
func (l *link) close() error {
	var errs []error
	for i := len(l.clients) - 1; i >= 0; i-- {
		if err := l.clients[i].Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
			errs = append(errs, err)
		}
	}
	l.owned.Wait()
	select {
	case <-l.dead: // what broke before cannot be closed well
		return nil
	default:
		return errors.Join(errs...)
	}
}

// A connection whose host has not answered for as long as this is dead.
const (
	keepAliveEvery  = 15 * time.Second
	keepAliveMisses = 3
)

// keepAlive asks the host for a sign of life, and ends a connection without one.
func (l *link) keepAlive(every time.Duration, misses int) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	answered := make(chan struct{}, 1)
	missed, waiting := 0, false
	for {
		select {
		case <-l.dead:
			return
		case <-answered:
			missed, waiting = 0, false
		case <-tick.C:
			if waiting {
				if missed++; missed >= misses {
					l.silent.Store(true)
					l.client().Close()
					return
				}
				continue
			}
			waiting = true
			l.owned.Go(func() { // returns at the latest when the connection ends
				if _, _, err := l.client().SendRequest("keepalive@openssh.com", true, nil); err == nil {
					answered <- struct{}{}
				}
			})
		}
	}
}

// ended says why a dead link is dead.
func (l *link) ended() string {
	if l.silent.Load() {
		return fmt.Sprintf("the host has not answered for %v", keepAliveEvery*keepAliveMisses)
	}
	return "the connection was lost"
}
