"""A user's driver that begins as many folds as its limit allows: `python hold_slots.py ADDRESS LIMIT CPUS`.

Prints how many processes run at a time, once they do, and holds their slots until its standard input ends.
"""

import sys

import ray

from raylab2f.cluster.session import ray_session
from raylab2f.cluster.training.placement import FoldResources, cluster_nodes, place_folds

if __name__ == "__main__":
    address, limit, cpus = sys.argv[1:]
    with ray_session(address):
        resources = FoldResources(max_parallel=int(limit), cpus=int(cpus))
        placement = place_folds(10, resources, cluster_nodes(), 1 << 20)

        @ray.remote(num_cpus=placement.cpus_per_worker, memory=placement.memory_per_worker)
        class Fold:
            def begun(self):
                return 1

        folds = [Fold.remote() for _ in range(placement.parallel)]
        print(sum(ray.get([fold.begun.remote() for fold in folds])), flush=True)
        sys.stdin.read()
