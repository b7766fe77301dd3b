"""The folder that the documentation's reader stands in: small pictures under the names that the pages use."""

import csv
import json

import cv2
import numpy as np

SIDE = 64
GOOD, DEFECTIVE = 12, 5
ANGLES = (0, 60)
CLASSES = {"good": range(1, 1 + GOOD), "dent": range(100, 100 + DEFECTIVE), "scratch": range(120, 120 + DEFECTIVE)}


class World:
    """Draws what pages take for granted below `folder`."""

    def __init__(self, folder):
        self.folder = folder
        self.generator = np.random.default_rng(0)
        for number, name in ((n, name) for name, numbers in CLASSES.items() for n in numbers):
            for view in range(len(ANGLES)):
                self.picture(f"pictures/{name}/part{number:03}_{view}.png", defective=name != "good")
        for number in range(4):
            self.picture(f"arrived/part{number}.png", defective=number == 3)
        self._manifest()
        self._mvtec("mvtec/bottle")
        self._mvtec("bottle")
        self._mtd()
        self._casting()
        self._kolektorsdd()
        self._scores_of_other_tools()
        (folder / "limits.yaml").write_text("escape_rate: 0.02\noverkill_rate: 0.05\n", encoding="utf-8")
        (folder / "run.yaml").write_text("data: parts.csv\nobject-id: '(?P<object>part\\d+)_'\n", encoding="utf-8")

    def picture(self, name, *, defective, mask=None, fills=False):
        """A grey disc on a darker ground, or a surface of its own that fills the picture; a defective one has a bright
        spot, which the mask shows.
        """
        picture = np.full((SIDE, SIDE, 3), 60.0)
        if fills:
            coarse = self.generator.uniform(60, 160, (8, 8)).astype(np.float32)
            picture[:] = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]
        else:
            cv2.circle(picture, (SIDE // 2, SIDE // 2), 24, (self.generator.uniform(120, 150),) * 3, -1)
        spot = np.zeros((SIDE, SIDE), np.uint8)
        if defective:
            row, column = self.generator.integers(20, SIDE - 20, 2)
            cv2.circle(spot, (int(column), int(row)), 6, 255, -1)
            picture[spot > 0] = (230, 60, 60)
        noisy = picture + self.generator.normal(0, 8, picture.shape)
        self._write(name, noisy.clip(0, 255).astype(np.uint8))
        if mask is not None:
            self._write(mask, spot)

    def _write(self, name, image):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)

    def _manifest(self):
        with (self.folder / "parts.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["image_id", "path", "label", "condition", "mask_path"])
            for number in range(GOOD + 2 * DEFECTIVE):
                label = int(number >= GOOD)
                for angle in ANGLES:
                    name = f"parts/part{number:03}_{angle}deg.png"
                    mask = f"parts/part{number:03}_{angle}deg_mask.png" if label else None
                    self.picture(name, defective=bool(label), mask=mask)
                    table.writerow([name.removeprefix("parts/"), name, label, ("day", "night")[number % 2], mask or ""])

    def _mvtec(self, base):
        for number in range(GOOD):
            self.picture(f"{base}/train/good/{number:03}.png", defective=False)
        for number in range(DEFECTIVE):
            self.picture(f"{base}/test/good/{number:03}.png", defective=False)
            mask = f"{base}/ground_truth/broken/{number:03}_mask.png"
            self.picture(f"{base}/test/broken/{number:03}.png", defective=True, mask=mask)

    def _mtd(self):
        # Numbers so far apart that each picture shows a tile of its own.
        for kind, count, first in (("Free", 2 * GOOD, 0), ("Blowhole", DEFECTIVE, 500), ("Fray", DEFECTIVE, 700)):
            for number in range(count):
                stem = f"mtd/MT_{kind}/Imgs/exp1_num_{1000 * (first + number)}"
                self.picture(f"{stem}.jpg", defective=kind != "Free", mask=f"{stem}.png", fills=True)

    def _casting(self):
        for split, count in (("train", GOOD), ("test", DEFECTIVE)):
            for number in range(count):
                self.picture(f"casting/{split}/ok_front/cast_ok_0_{number}.jpeg", defective=False)
                self.picture(f"casting/{split}/def_front/cast_def_0_{number}.jpeg", defective=True)

    def _kolektorsdd(self):
        for item in range(12):
            for part in range(4):
                stem = f"KolektorSDD/kos{item:02}/Part{part}"
                self.picture(f"{stem}.jpg", defective=part == item % 4, mask=f"{stem}_label.bmp")

    def _scores_of_other_tools(self):
        """Of the manifest's pictures, as they were named on another machine."""
        rows = []
        for number in range(GOOD + 2 * DEFECTIVE):
            label = int(number >= GOOD)
            for angle in ANGLES:
                name = f"/srv/line/parts/part{number:03}_{angle}deg.png"
                rows.append((name, label, float(self.generator.normal(1.5 * label))))
        names, labels, scores = zip(*rows, strict=True)
        columns = ["image_path", "gt_label", "pred_score"]
        with (self.folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([columns, *rows])
        samples = [
            {
                "filepath": name,
                "ground_truth": {"_cls": "Classification", "label": ("good", "dent")[label]},
                "anomaly_score": score,
            }
            for name, label, score in rows
        ]
        (self.folder / "samples.json").write_text(json.dumps({"samples": samples}), encoding="utf-8")
        logged = json.dumps({"columns": columns, "data": rows})
        (self.folder / "eval_results_table.json").write_text(logged, encoding="utf-8")
        np.savez(self.folder / "scores.npz", scores=scores, labels=labels, image_paths=names)
