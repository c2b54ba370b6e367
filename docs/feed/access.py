"""Access tokens for an authority whose feed is not for everybody: docs/feed.md.

    feed = Feed(issuer, Access(issuer, "feed-orders", password))

`access.py ISSUER USERNAME PASSWORD_FILE FILE` keeps one in FILE, for the programs that read it from there.
"""

import json
import logging
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

RENEW_AFTER = 10  # seconds


class Access:
    def __init__(self, issuer, username, password):
        self.issuer, self.user = issuer.rstrip("/"), {"username": username, "password": password}
        self.pair, self.renewed_at = None, 0

    def __call__(self):
        """Long before it expires: the session may have ended meanwhile, and to refresh is to hear of it."""
        if self.pair is None or time.monotonic() >= self.renewed_at + RENEW_AFTER:
            self.pair = self.refreshed() or self.post("/api/token/", self.user)
            self.renewed_at = time.monotonic()
        return self.pair["access"]

    def refreshed(self):
        try:
            return self.pair and self.post("/api/token/refresh/", {"refresh": self.pair["refresh"]})
        except urllib.error.HTTPError as refusal:
            if refusal.code != 401:
                raise
            return None

    def post(self, path, fields):
        body, headers = json.dumps(fields).encode(), {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.issuer + path, body, headers), timeout=10) as answer:
            return json.load(answer)


def keep(access, file):
    new = Path(f"{file}.new")
    while True:
        try:
            new.write_text(access())
            os.replace(new, file)
        except Exception as cause:  # Whatever it is: the next try may do better.
            logging.warning("access token: %s: %s", type(cause).__name__, cause)
        time.sleep(RENEW_AFTER)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: access.py ISSUER USERNAME PASSWORD_FILE FILE")
    issuer, username, secret, file = sys.argv[1:]
    os.umask(0o077)
    keep(Access(issuer, username, Path(secret).read_text().strip()), file)
