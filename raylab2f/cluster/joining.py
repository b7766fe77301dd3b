"""A cluster that runs already, joined: whatever is wrong with it is one sentence, and none of Ray's own lines."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import AuthenticationError

from raylab2f.cluster.asking import Answer, ask
from raylab2f.cluster.lost_head import ended_with_head
from raylab2f.cluster.surroundings import core_lines_aside, environment_with
from raylab2f.cluster.token import refusal, use_token
from raylab2f.errors import UserError

__all__ = ["joined_cluster", "require_cluster", "require_welcome"]

# So many seconds Ray tries to reach the head: one that runs answers at once or not at all. It does without a file of
# events beside the head's, in a folder that only the account of the head may write: it would abort.
_MANNERS = {"RAY_gcs_server_port_wait_time_s": "5", "RAY_event_log_reporter_enabled": "0"}
_WHERE = "give the head node's HOST:PORT (6379 unless `ray start` was told another)"


@contextmanager
def joined_cluster(address: str) -> Iterator[None]:
    """Be connected to this cluster inside the block.

    Raises:
        UserError: no cluster answers at the address, or none that lets us in or has these versions; or the token's file
            is open to others.
    """
    use_token()
    try:
        require_cluster(address)
        try:
            with environment_with(_MANNERS), core_lines_aside():
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        except AuthenticationError as error:
            raise UserError(f"--address {address}: {refusal()}.") from error
        except OSError as error:
            raise UserError(f"--address {address}: the cluster there broke off; check `ray status`.") from error
        except (ValueError, RuntimeError) as error:
            # Another version of Ray or Python, which Ray says over several lines.
            reason = " ".join(str(error).split()).rstrip(".")
            raise UserError(f"--address {address}: {reason}; {_WHERE}.") from error
        if "://" in address:
            # Ray's client for the outside of a cluster has its own ways of losing it.
            yield
        else:
            with ended_with_head(address, ray.get_runtime_context().gcs_address):
                yield
    finally:
        with core_lines_aside():
            ray.shutdown()


def require_cluster(address: str) -> None:
    """`UserError` unless a cluster answers at the address and lets us in, as far as that is known before joining it."""
    require_welcome(ask(address), f"--address {address}")


def require_welcome(answer: Answer, where: str) -> None:
    """`UserError`, which begins with `where`, unless what was found there is a cluster that lets us in."""
    if answer.kind == "cluster":
        return
    said = f" ({answer.said})" if answer.said else ""
    fault = {
        "refused": refusal(),
        "web": f"{answer.said}; {_WHERE}",
        "stranger": f"{answer.said}; {_WHERE}",
        "malformed": f"{answer.said}; {_WHERE}",
        "closed": f"another account's node is on this machine, and this account may not use its socket {answer.said}; "
        "`raylab2f submit` runs a command there as that account, and docs/howto/shared-folders.md says how to share it",
        "silence": f"no Ray cluster answers there{said}; check `ray status`, or {_WHERE}",
    }
    raise UserError(f"{where}: {fault[answer.kind]}.")
