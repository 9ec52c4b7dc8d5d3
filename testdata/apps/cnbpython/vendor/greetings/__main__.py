"""The app's worker."""

import time

from greetings import hello

while True:
    print("at work:", hello("Python"))
    time.sleep(3600)
