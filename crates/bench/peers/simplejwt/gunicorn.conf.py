"""One worker on one core; connections stay open."""

bind = "127.0.0.1:0"
workers = 1
worker_class = "gthread"
threads = 1
worker_connections = 1000
keepalive = 60
loglevel = "warning"


def when_ready(server):
    host, port = server.LISTENERS[0].sock.getsockname()
    print(f"listening on http://{host}:{port}", flush=True)
