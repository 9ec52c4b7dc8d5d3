#!/bin/sh
echo "badrelease: migrating"
echo "badrelease: table users is locked" >&2
exit 3
