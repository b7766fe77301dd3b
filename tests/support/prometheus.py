"""What Prometheus would see of a cluster."""

import re
import urllib.request


def scrape(port):
    """Samples as (name, tags, value)."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:  # the node's agent starts after its head
        return []
    samples = []
    for line in lines:
        found = re.fullmatch(r"ray_(raylab2f_\w+)\{(.*)\} (\S+)", line)
        if found:
            samples.append((found[1], dict(re.findall(r'(\w+)="([^"]*)"', found[2])), float(found[3])))
    return samples
