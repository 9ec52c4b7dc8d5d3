#!/bin/sh
mark="first"
printf 'Content-Type: text/plain\r\n\r\n%s, %s\n' "$GREETING" "$mark"
