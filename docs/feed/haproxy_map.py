"""Turns the revocation feed into the two maps that haproxy.cfg looks tokens up in, and tells a running HAProxy.

`haproxy_map.py ISSUER FOLDER SOCKET [FILE]`, with the folder spelled as in the configuration, and in the file an access
token, for an authority that shows its feed to nobody without. It runs beside HAProxy for as long as that does; either of
them may be started again at any time.
"""

import logging
import os
import socket
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path

from consumer import KINDS, Feed

FOR_EVER = 2**32 - 1
MOST_COMMANDS = 50  # at a time: HAProxy takes 16 KiB
NOT_WRITTEN = "the maps cannot be written, so the next start of HAProxy would be blind to what is new"


class Maps(Feed):
    def __init__(self, issuer, folder, control, token=None):
        super().__init__(issuer, token)
        self.salts, self.revoked, self.control = Path(folder, "salts.map"), Path(folder, "revoked.map"), control
        # HAProxy does not start without.
        attempt(write, [(file, {}) for file in (self.revoked, self.salts) if not file.exists()], NOT_WRITTEN)
        kept = self.salts.read_text() if self.salts.exists() else ""
        before = dict(line.split(" ") for line in kept.splitlines())
        self.epoch, self.since, self.sent = int(before.get("epoch", -1)), int(before.get("since", 0)), {}

    def poll(self, query):
        super().poll(query)
        maps = self.maps(time.time())
        attempt(write, maps, NOT_WRITTEN)
        # Not there? It will read the files.
        attempt(self.tell, maps, f"HAProxy cannot be told through {self.control}")

    def maps(self, now):
        # HAProxy looks up with one salt. At another epoch, which has another, all that was issued before is refused.
        if self.epoch not in (-1, self.state.epoch):
            self.since = int(now)
        self.epoch = self.state.epoch
        salt, records = self.state.epochs[self.epoch]
        revoked = {}
        for head, (not_before, _) in records.items():
            kind = KINDS[head[0]]
            key = "all" if kind == "all" else head[4:].hex().upper()
            revoked[key] = FOR_EVER if kind in ("kid", "session", "jti") else not_before
        revoked.update(all=max(revoked.get("all", 0), self.since), known_at=int(now))
        salts = {kind: urlsafe_b64encode(salt + bytes([n])).decode().rstrip("=") for n, kind in enumerate(KINDS)}
        version = {"version": int(now * 1000)}
        salts.update(epoch=self.epoch, since=self.since)
        # Revoked comes first: with the old salt, it refuses too much for a moment; the other way round, too little.
        return (self.revoked, {**revoked, **version}), (self.salts, {**salts, **version})

    def tell(self, file, entries):
        """What has changed, or all of it if HAProxy has something else than what it was told last."""
        sent = self.sent.pop(file, {"version": None})
        if f'value="{sent["version"]}"' in self.ask(f"get map {file} version"):
            act = {key: "set" if key in sent else "add" for key, value in entries.items() if sent.get(key) != value}
            commands = [f"{act[key]} map {file} {key} {entries[key]}" for key in act]
            self.ask_all([f"del map {file} {key}" for key in sent.keys() - entries.keys()] + commands)
        else:
            said = self.ask(f"prepare map {file}").strip()
            version = said.split()[-1]
            if not version.isdigit():
                raise OSError(f"is {file} the one of the configuration? {said.splitlines()[0]}")
            self.ask_all([f"add map @{version} {file} {key} {value}" for key, value in entries.items()])
            self.ask_all([f"commit map @{version} {file}"])
        self.sent[file] = entries

    def ask_all(self, commands):
        for at in range(0, len(commands), MOST_COMMANDS):
            said = self.ask(";".join(commands[at : at + MOST_COMMANDS])).strip()
            if said:
                raise OSError(said.splitlines()[0])

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5)
            control.connect(self.control)
            control.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: control.recv(1 << 16), b"")).decode()


def attempt(act, maps, otherwise):
    """The other half is done also if this one cannot be: a running HAProxy, and the next start of it."""
    try:
        for file, entries in maps:
            act(file, entries)
    except OSError as cause:
        logging.warning("%s: %s", otherwise, cause)


def write(file, entries):
    new = file.with_suffix(".new")
    new.write_text("".join(f"{key} {value}\n" for key, value in entries.items()))
    os.replace(new, file)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: haproxy_map.py ISSUER FOLDER SOCKET [FILE]")
    issuer, folder, control, *file = sys.argv[1:]
    if not os.path.isdir(folder):
        sys.exit(f"haproxy_map.py: there is no folder {folder}: make it first")
    Maps(issuer, folder, control, (lambda: Path(file[0]).read_text().strip()) if file else None).follow()
