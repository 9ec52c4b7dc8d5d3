#!/bin/sh
greeting="Hello, world"
printf 'Content-Type: text/plain\r\n\r\n%s\n' "$greeting"
