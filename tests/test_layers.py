"""Imports point downwards only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "raylab2f"

# The houses, floor by floor from the ground up; each with what it may import of the others.
BELOW = {
    "files": set(),
    "evaluation": {"files"},
    "features": {"files"},
    "datasets": {"files"},
    "reporting": {"files"},
    "detectors": {"files", "features"},
    "preparation": {"files", "datasets"},
    "diagnostics": {"files", "evaluation", "preparation"},
    "runs": {"files", "evaluation", "features", "datasets", "reporting", "detectors", "preparation"},
    "models": {"files", "evaluation", "features", "datasets", "reporting", "detectors", "preparation"},
    "cluster": {
        "files", "evaluation", "features", "datasets", "reporting", "detectors", "preparation", "diagnostics", "runs",
        "models",
    },
}  # fmt: skip
BELOW["workflows"] = BELOW["cluster"] | {"cluster"}
BELOW["options"] = BELOW["runs"] | {"runs", "models", "cluster"}
BELOW["api"] = BELOW["workflows"] | {"workflows", "options"}
BELOW["cli"] = BELOW["api"] | {"api"}
FOUNDATION = {"blas", "errors", "pitfalls", "plugins", "seeding", "versions", "__version__"}
ONLY_IN = {
    "ray": {"cluster"},
    "torch": {"features", "detectors", "preparation", "runs", "models", "cluster"},
    "timm": {"features"},
    "transformers": {"preparation"},
    "typer": {"cli"},
    "onnx": {"models"},
    "onnxruntime": {"models"},
    "openvino": {"models"},
}


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module == "raylab2f":
                yield from (f"raylab2f.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    parts = path.relative_to(PACKAGE).parts
    if len(parts) == 1:
        # What `import raylab2f` offers; the foundation beside it knows nobody.
        own, allowed = None, {"api"} if path.name == "__init__.py" else set()
    else:
        own, allowed = parts[0], BELOW[parts[0]]
    for name in imported_names(path):
        top, *rest = name.split(".")
        if top == "raylab2f" and rest:
            assert rest[0] in FOUNDATION | allowed | {own}, f"{path} imports {name}"
        if top in ONLY_IN:
            assert own in ONLY_IN[top], f"{path} imports {name}"


# One after the other in one interpreter, where what is loaded stays: what is absent after all of them is so after each.
LIGHT = [
    ("import raylab2f", ["ray", "torch", "pandas", "numpy", "pyarrow"]),
    ("raylab2f.evaluate, raylab2f.cross_validate", ["ray", "torch", "pandas", "typer"]),
    ("import raylab2f.evaluation", ["ray", "torch"]),
    ("import raylab2f.datasets, raylab2f.preparation", ["ray", "torch"]),
    ("import raylab2f.diagnostics", ["ray", "torch"]),
    ("import raylab2f.features, raylab2f.detectors", ["ray"]),
    ("import raylab2f.models", ["ray"]),
    ("import raylab2f.runs.fold, raylab2f.runs.folder, raylab2f.runs.splits", ["ray"]),
]


@pytest.mark.parametrize(
    "statements", [LIGHT, [("import raylab2f.cli", ["ray", "torch", "pandas", "scipy"])]], ids=["packages", "program"]
)
def test_light_packages_do_not_load_heavy_libraries(statements):
    code = "import sys\n" + "\n".join(
        f"{statement}\nprint({statement!r}, [m for m in {absent!r} if m in sys.modules])"
        for statement, absent in statements
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [f"{statement} []" for statement, _ in statements]
