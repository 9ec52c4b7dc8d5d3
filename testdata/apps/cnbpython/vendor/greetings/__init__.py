"""What the app depends on."""


def hello(name):
    return f"Hello from {name}"
