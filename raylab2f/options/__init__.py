"""What a user may choose, declared once: for the command line, for files of settings and for Python."""
