"""Feature variance (Figure 5): how much the strongest activations vary under each preparation. Nothing is trained."""

from __future__ import annotations

import pyarrow.compute as pc

from raylab2f.cluster.session import ray_session
from raylab2f.datasets.demo import DemoConfig
from raylab2f.datasets.manifest import fingerprint
from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.diagnostics import diagnose_variance
from raylab2f.diagnostics.resampling import Estimate, mean, resample
from raylab2f.diagnostics.variance import Activations, object_variance
from raylab2f.files.mirror import local
from raylab2f.reporting import Display
from raylab2f.runs.data import open_dataset
from raylab2f.workflows.evidence import activations_of
from raylab2f.workflows.experiments.common import Claim, ExperimentOptions, claim_of, with_data, write_report
from raylab2f.workflows.experiments.table1 import PREPARATIONS
from raylab2f.workflows.inputs import prepare_inputs

__all__ = ["DEMO", "feature_variance"]

DEMO = DemoConfig()
_NAMES = {"naive": "as it is", "masked": "masked", "centred": "masked and centred"}
_MOST_VIEWS = 2


def feature_variance(options: ExperimentOptions, display: Display) -> str:
    """Rank preparations, with all views and with single ones, for the first detector's backbone.

    Returns:
        The report, which is also written to `options.out` with the figure `variance.png`.
    """
    from raylab2f.reporting import figures

    options = with_data(options, DEMO, display)
    manifest = open_dataset(options.data, options.cache, display).manifest
    good = manifest.filter(pc.equal(manifest["label"], 0)).sort_by("image_id")
    views = sorted({view for view in good["view"].to_pylist() if view is not None})
    chosen = {"": good} | {
        f", view {view}": good.filter(pc.equal(good["view"], view)) for view in views[:_MOST_VIEWS] if len(views) > 1
    }
    has_masks = manifest["foreground_path"].null_count == 0
    found: dict[str, Activations] = {}
    objects: dict[str, list[str]] = {}
    with ray_session(options.address):
        for key, preparation in PREPARATIONS.items():
            if key != "naive" and not has_masks:
                continue
            settings = options.settings(options.detectors[0], preparation)
            config = config_from_dict(settings.detector, settings.config)
            requests = detector_class(settings.detector).feature_requests(config)[:1]
            inputs = prepare_inputs(
                settings, manifest, fingerprint(manifest), options.cache, display, requests=requests
            )
            for suffix, rows in chosen.items():
                name = _NAMES[key] + suffix
                found[name] = activations_of(inputs, rows["image_id"].to_pylist())
                objects[name] = rows["object_id"].to_pylist()
    finding = diagnose_variance(found, objects, seed=options.seed)
    numbers = {row["preparation"]: row["place_variance"] for row in finding.evidence.to_pylist()}
    panels = {name: (a.peaks, a.strongest_mean, a.strongest_std) for name, a in found.items()}
    figures.save(figures.variance_figure(panels, numbers), local(options.out) / "figures" / "variance.png")
    claims = _claims(found, objects, has_masks, options.seed)
    notes = [
        f"Backbone {config.backbone}, layer {config.layers[-1]}, {good.num_rows} good pictures. Place variance: "
        "squared distance of a channel's strongest activation to its mean place, 1 is what random places would give."
    ]
    if not has_masks:
        notes.append("Some pictures have no foreground mask, so nothing was masked or centred; see raylab2f segment.")
    if len(views) < 2:
        notes.append("Fewer than two views are known, so none was looked at alone; --views says where a name has them.")
    rows = finding.evidence.to_pylist()
    return write_report(options.out, "feature-variance", "Feature variance", {"Preparations": rows}, claims, notes)


def _claims(found: dict[str, Activations], objects: dict[str, list[str]], has_masks: bool, seed: int) -> list[Claim]:
    values = {name: object_variance(part)[:, 0] for name, part in found.items()}
    claims = []
    if has_masks:
        base = values["as it is"]
        draws = resample(objects["as it is"], base * 0, seed=seed)
        for name in ("masked", "masked and centred"):
            less = mean(draws, base - values[name], limits=(-float("inf"), float("inf")))
            measured = f"{values[name].mean():.3f} against {base.mean():.3f}"
            claims.append(claim_of(f"Places vary less when {name}.", less, measured))
    for name in found:
        if name.startswith("as it is, "):
            one, whole = (
                mean(resample(objects[key], values[key] * 0, seed=seed), values[key], limits=(0.0, float("inf")))
                for key in (name, "as it is")
            )
            less = Estimate(whole.value - one.value, whole.low - one.high, whole.high - one.low)
            text = f"Places vary less in {name.removeprefix('as it is, ')} alone than over all views."
            claims.append(claim_of(text, less, f"{one.value:.3f} against {whole.value:.3f}"))
    return claims
