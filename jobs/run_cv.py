"""`raylab2f run-cv` as the entry point of a Ray job.

    ray job submit --address http://127.0.0.1:8265 --working-dir . -- python jobs/run_cv.py --folds 10 --data ...

The job runs on the cluster it was submitted to; give `--cache` and `--out` on storage that all nodes share.
"""

import sys

from raylab2f.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "run-cv")
    main()
