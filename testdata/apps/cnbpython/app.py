"""An app as buildpacks build it: sources, requirements and a Procfile, nothing else."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from greetings import hello

MARK = "first"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{hello('Python')}, {MARK}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
