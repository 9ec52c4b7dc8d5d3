#!/bin/sh
echo "sick: starting"
echo "sick: listening on port $PORT"
exec busybox httpd -f -p "$PORT" -h /app/www
