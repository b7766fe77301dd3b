"""After the installation: has the world changed, and are we still good?"""

from raylab2f.evaluation.monitoring.monitor import monitor

__all__ = ["monitor"]
