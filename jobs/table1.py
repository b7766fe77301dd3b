"""Table 1: naive, masked and centre-embedded pictures for CS-Flow and GLASS.

python jobs/table1.py --out runs/table1     # on rendered pictures
python jobs/table1.py --data pictures/ --preset paper --folds 10
ray job submit --working-dir . -- python jobs/table1.py --data /shared/pictures --cache /shared/cache
"""

from raylab2f.cli.app import run_program
from raylab2f.cli.experiments import experiment_app

if __name__ == "__main__":
    run_program(experiment_app("table1"))
