"""Models that judge pictures sent over HTTP: the command is the server, Ray Serve keeps the models' replicas."""
