"""Section 3.5: train on plain or turned pictures, judge plain and turned ones.

python jobs/rotation.py --out runs/rotation     # on rendered pictures
python jobs/rotation.py --data pictures/ --preset paper --folds 10
ray job submit --working-dir . -- python jobs/rotation.py --data /shared/pictures --cache /shared/cache
"""

from raylab2f.cli.app import run_program
from raylab2f.cli.experiments import experiment_app

if __name__ == "__main__":
    run_program(experiment_app("rotation"))
