"""Runs models in onnxruntime-web in a headless Chromium, which Debian has. A server of this process
gives it the page runner_page.html, the runtime and the models, and takes what the page finds.
Nothing comes from the network."""

import http.server
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 300
TYPES = {".mjs": "text/javascript", ".html": "text/html", ".wasm": "application/wasm"}


def find():
    """The program, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def run(package, jobs):
    """An answer for each job, as elsewhere.run_node gives: (model, feed, wanted) are paths."""
    jobs = [[str(pathlib.Path(path).absolute()) for path in job] for job in jobs]
    runtime = package / "node_modules/onnxruntime-web/dist"
    pages = {"/": HERE / "runner_page.html", "/runner_job.mjs": HERE / "runner_job.mjs"}
    files = {f"/files{path}": pathlib.Path(path) for job in jobs for path in job}
    found, done = [], threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path
            path = pages.get(name) or files.get(name)
            if name.startswith("/runtime/"):
                path = runtime / pathlib.PurePosixPath(name).name
            if name == "/jobs":
                self.answer(json.dumps(jobs).encode(), "application/json")
            elif path and path.is_file():
                kind = TYPES.get(path.suffix, "application/octet-stream")
                self.answer(path.read_bytes(), kind)
            else:
                self.send_error(404)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.extend(json.loads(body))
            self.answer(b"", "text/plain")
            done.set()

        def answer(self, body, kind):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, \
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            [find(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", f"--user-data-dir={profile}",
             f"http://127.0.0.1:{server.server_port}/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            done.wait(SECONDS)
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
    return found or ["the page gave no answer"] * len(jobs)
