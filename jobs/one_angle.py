"""Section 3.6: all views, and one view only.

python jobs/one_angle.py --out runs/one_angle     # on rendered pictures
python jobs/one_angle.py --data pictures/ --preset paper --folds 10
ray job submit --working-dir . -- python jobs/one_angle.py --data /shared/pictures --cache /shared/cache
"""

from raylab2f.cli.app import run_program
from raylab2f.cli.experiments import experiment_app

if __name__ == "__main__":
    run_program(experiment_app("one_angle"))
