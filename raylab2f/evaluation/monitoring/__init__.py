"""After the installation: has the world changed, and are we still good?"""

from raylab2f.evaluation.monitoring.audit import bound_audit, plan_audit
from raylab2f.evaluation.monitoring.monitor import monitor

__all__ = ["bound_audit", "monitor", "plan_audit"]
