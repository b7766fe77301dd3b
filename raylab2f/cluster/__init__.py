"""Ray, and the only house that imports it: sessions, tokens, devices, what failed remotely."""
