"""Figure 5: how much the strongest activations vary under each preparation.

python jobs/feature_variance.py --out runs/feature_variance     # on rendered pictures
python jobs/feature_variance.py --data pictures/ --preset paper --folds 10
ray job submit --working-dir . -- python jobs/feature_variance.py --data /shared/pictures --cache /shared/cache
"""

from raylab2f.cli.app import run_program
from raylab2f.cli.experiments import experiment_app

if __name__ == "__main__":
    run_program(experiment_app("feature_variance"))
