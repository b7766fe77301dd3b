"""Put on PYTHONPATH: Ray's workers cannot write files of more than SMALL_DISK_BYTES, as on a disk that is full.

Ray's own processes are spared, for their object store is a file, too.
"""

import os
import resource
import sys

if any(argument.endswith("default_worker.py") for argument in sys.orig_argv):
    # Python ignores the signal that comes with it, so writing fails with an OSError.
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["SMALL_DISK_BYTES"]),) * 2)
