#!/bin/sh
# Grows until its memory limit ends it; without a limit it stops at 256 MiB.
echo "oom: loading everything into memory"
data=x
while [ "${#data}" -lt 268435456 ]; do
	data=$data$data
done
echo "oom: it all fitted"
exec busybox httpd -f -p "$PORT" -h /app
