"""Where processes of this machine listen, as the kernel tells it."""

import os
import re
import socket
import threading
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from ray_head import MARK, title

LISTENING = "0A"


def beyond_loopback(pids):
    """(address, port, process's title) of every socket that others than this machine's own processes may reach."""
    sockets = _listening_sockets()
    found = set()
    for pid in pids:
        for inode in _sockets_of(pid) & sockets.keys():
            address, port = sockets[inode]
            if not _is_loopback(address):
                found.add((str(address), port, title(pid).strip()))
    return found


def ports(pids):
    """Every port at which one of these processes listens."""
    sockets = _listening_sockets()
    return {sockets[inode][1] for pid in pids for inode in _sockets_of(pid) & sockets.keys()}


def descendants(pid):
    """Ids of this process and all that descend from it, but for clusters of tests' own."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if f"\0{MARK}=".encode() not in b"\0" + (entry / "environ").read_bytes():
                    children.setdefault(parent, []).append(int(entry.name))
            except OSError:
                continue
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


@contextmanager
def watched_listeners(pid=None):
    """Yields the set that `beyond_loopback` finds, again and again within the block, for a process and descendants."""
    seen, over = set(), threading.Event()

    def watch():
        while not over.wait(0.1):
            seen.update(beyond_loopback(descendants(pid or os.getpid())))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def outward_address():
    """The address of this machine that others see, or `None` where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Of a block that is kept for documents; nothing is sent.
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def _listening_sockets():
    """Address and port by inode."""
    found = {}
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[3] == LISTENING:
                address, port = fields[1].split(":")
                words = [bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8)]
                found[fields[9]] = ip_address(b"".join(words)), int(port, 16)
    return found


def _sockets_of(pid):
    found = set()
    try:
        for entry in (Path("/proc") / str(pid) / "fd").iterdir():
            if inode := re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink())):
                found.add(inode[1])
    except OSError:
        pass
    return found


def _is_loopback(address):
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
