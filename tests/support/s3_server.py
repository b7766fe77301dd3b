"""An S3 server of the tests' own: moto's, in a process beside."""

import os
import subprocess
import sys
import time
import urllib.request

import pyarrow.fs
from ray_head import free_ports

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIA0TESTS0ACCESS0KEY",
    "AWS_SECRET_ACCESS_KEY": "a-secret-that-nobody-may-record",
    "AWS_DEFAULT_REGION": "us-east-1",
    # Nothing here may ask a cloud's metadata service.
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3Server:
    """Serves until `stop`; `settings` are environment variables of moto."""

    def __init__(self, **settings):
        (port,) = free_ports(1)
        self.endpoint = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, **CREDENTIALS, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self.process.poll() is None, "moto's server does not start"
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def _answers(self):
        try:
            urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=10).close()
        except OSError:
            return False
        return True

    def create_bucket(self, name):
        self.files(allow_bucket_creation=True).create_dir(name)

    def files(self, **options):
        """The store as a file system."""
        return pyarrow.fs.S3FileSystem(
            access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region="us-east-1",
            endpoint_override=self.endpoint,
            **options,
        )

    def uri(self, path):
        """The URI of a file or folder, `bucket/...`, that names this server."""
        return f"s3://{path}?endpoint_override={self.endpoint}"

    def names(self, path):
        """Files below a folder, `bucket/...`."""
        selector = pyarrow.fs.FileSelector(path, recursive=True, allow_not_found=True)
        return sorted(info.path[len(path) + 1 :] for info in self.files().get_file_info(selector) if info.is_file)

    def read(self, path):
        with self.files().open_input_stream(path) as stream:
            return stream.read()

    def write(self, path, content):
        with self.files().open_output_stream(path) as stream:
            stream.write(content)

    def stop(self):
        self.process.kill()
        self.process.wait()
