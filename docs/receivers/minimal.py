# python3 minimal.py 20000
import json, sqlite3, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with sqlite3.connect("copy.db") as copy:  # commits, or rolls back on an error
            copy.execute("INSERT INTO user (number, name) VALUES (:number, :name)"
                         " ON CONFLICT (number) DO UPDATE SET name = excluded.name", body["srcColumn"])
        self.send_response(204)
        self.end_headers()

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
