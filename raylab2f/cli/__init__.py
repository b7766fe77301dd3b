"""The command line: parse, call one function, render."""

from raylab2f.cli.app import main

__all__ = ["main"]
