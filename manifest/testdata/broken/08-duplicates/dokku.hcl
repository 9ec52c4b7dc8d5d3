app = "a"
app = "b"
