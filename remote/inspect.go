package remote

import (
	"context"
	"net/http"
	"time"

	"github.com/dokku-push/dokku-push/api"
)

// Drift asks what differs between an app's current release and what runs. While the app
// is being deployed the error is of code api.Locked.
func (c *Client) Drift(ctx context.Context, app string) (api.Drift, error) {
	var drift api.Drift
	err := c.call(ctx, http.MethodGet, appPath(app)+"/drift", "compare "+app+" with its release", &drift)
	return drift, err
}

// Doctor asks whether the host is ready for deploys, and tells it what time it is here.
func (c *Client) Doctor(ctx context.Context) (api.Diagnosis, error) {
	const op = "examine the host"
	var diagnosis api.Diagnosis
	header := http.Header{api.TimeHeader: {time.Now().Format(time.RFC3339Nano)}}
	response, err := c.do(ctx, http.MethodGet, "/v1/doctor", op, header, nil)
	if err != nil {
		return diagnosis, err
	}
	defer response.Body.Close()
	return diagnosis, decodeAnswer(ctx, op, response.Body, &diagnosis)
}
