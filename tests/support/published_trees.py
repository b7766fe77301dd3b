"""Small trees of the shape in which public data sets are published."""

import json
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from PIL import Image


class Tree:
    """Writes pictures and masks below a folder; endings are in upper case if asked for."""

    def __init__(self, root, upper=False):
        self.root = root
        self.upper = upper

    def _place(self, name):
        path = self.root / name
        path = path.with_suffix(path.suffix.upper()) if self.upper else path
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def picture(self, *names):
        for name in names:
            path = self._place(name)
            seed = list(str(name).encode())
            values = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
            Image.fromarray(values).save(path)

    def mask(self, *names, value=255):
        for name in names:
            values = np.zeros((6, 8), np.uint8)
            values[1:3, 2:4] = value
            Image.fromarray(values).save(self._place(name))

    def text(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    def named(self, name):
        """A picture's name as it stands on disk."""
        stem, _, suffix = name.rpartition(".")
        return f"{stem}.{suffix.upper()}" if self.upper else name


@dataclass(frozen=True)
class Published:
    """What a tree holds.

    Attributes:
        layout: that should recognise it.
        build: writes it with a `Tree`.
        category: folder with the pictures, as `--category` names it; None for data sets without categories.
        base: the same folder relative to the root.
        pictures: number of pictures by (label, given split).
        defect_types: of anomalous pictures.
        masks: number of pictures with a mask, be it an empty one.
        objects: number of objects where the layout knows them.
        views, conditions: those that occur.
    """

    layout: str
    build: object
    category: str | None
    base: str
    pictures: Counter
    defect_types: frozenset
    masks: int
    objects: int | None = None
    views: frozenset = field(default=frozenset({None}))
    conditions: frozenset = field(default=frozenset({None}))

    def __str__(self):
        return self.layout


def mvtec(tree, category="nut"):
    tree.picture(*(f"{category}/train/good/{n:03}.png" for n in range(3)))
    tree.picture(f"{category}/test/good/000.png", *(f"{category}/test/dent/{n:03}.png" for n in range(2)))
    tree.mask(*(f"{category}/ground_truth/dent/{n:03}_mask.png" for n in range(2)))


def mvtec_loco(tree, category="breakfast_box"):
    tree.picture(*(f"{category}/train/good/{n:03}.png" for n in range(3)))
    tree.picture(*(f"{category}/validation/good/{n:03}.png" for n in range(2)))
    tree.picture(f"{category}/test/good/000.png")
    for kind in ("logical_anomalies", "structural_anomalies"):
        for n in range(2):
            tree.picture(f"{category}/test/{kind}/{n:03}.png")
            tree.mask(*(f"{category}/ground_truth/{kind}/{n:03}/{k:03}.png" for k in range(n + 1)))
    tree.text(f"{category}/defects_config.json", "[]")


def mvtec_ad2(tree, category="can"):
    tree.picture(*(f"{category}/train/good/{n:03}_regular.png" for n in range(3)))
    tree.picture(f"{category}/validation/good/000_regular.png")
    lights = ("regular", "overexposed", "underexposed", "shift_1", "shift_2")
    for light in lights:
        tree.picture(f"{category}/test_public/good/000_{light}.png")
        for n in range(2):
            tree.picture(f"{category}/test_public/bad/{n:03}_{light}.png")
            tree.mask(f"{category}/test_public/ground_truth/bad/{n:03}_{light}_mask.png")
    tree.picture(f"{category}/test_private/000.png", f"{category}/test_private/001.png")
    tree.picture(f"{category}/test_private_mixed/000_mixed.png")


def mvtec_3d(tree, category="bagel"):
    for split, kinds in (("train", ("good",)), ("validation", ("good",)), ("test", ("good", "hole"))):
        for kind in kinds:
            for n in range(2):
                tree.picture(f"{category}/{split}/{kind}/rgb/{n:03}.png", f"{category}/{split}/{kind}/xyz/{n:03}.tiff")
                if split == "test":
                    tree.mask(f"{category}/{split}/{kind}/gt/{n:03}.png", value=0 if kind == "good" else 255)
    tree.text(f"{category}/calibration/camera_parameters.json", "{}")


def btad(tree, category="01"):
    tree.picture(*(f"{category}/train/ok/{n:04}.bmp" for n in range(3)))
    tree.picture(f"{category}/test/ok/0000.bmp", *(f"{category}/test/ko/{n:04}.bmp" for n in range(2)))
    tree.mask(*(f"{category}/ground_truth/ko/{n:04}.png" for n in range(2)))


def visa(tree, category="candle", split=True):
    images = f"{category}/Data/Images"
    tree.picture(
        *(f"{images}/Normal/{n:04}.jpg" for n in range(4)), *(f"{images}/Anomaly/{n:03}.jpg" for n in range(2))
    )
    for n in range(2):
        tree.mask(f"{category}/Data/Masks/Anomaly/{n:03}.png", value=n + 1)
    normal = [tree.named(f"{images}/Normal/{n:04}.jpg") for n in range(4)]
    anomalous = [
        (tree.named(f"{images}/Anomaly/{n:03}.jpg"), tree.named(f"{category}/Data/Masks/Anomaly/{n:03}.png"))
        for n in range(2)
    ]
    kinds = ("chunk of wax missing", '"burnt,melt"')
    types = [f"{name},normal," for name in normal]
    types += [f"{name},{kind},{mask}" for (name, mask), kind in zip(anomalous, kinds, strict=True)]
    tree.text(f"{category}/image_anno.csv", "\n".join(["image,label,mask", *types]) + "\n")
    if split:
        rows = [f"{category},{'test' if n == 3 else 'train'},normal,{name}," for n, name in enumerate(normal)]
        rows += [f"{category},test,anomaly,{name},{mask}" for name, mask in anomalous]
        file = tree.root / "split_csv" / "1cls.csv"
        before = file.read_text(encoding="utf-8") if file.exists() else "object,split,label,image,mask\n"
        tree.text("split_csv/1cls.csv", before + "\n".join(rows) + "\n")


def visa_without_split(tree, category="candle"):
    visa(tree, category, split=False)


def real_iad(tree, category="audiojack", pictures="realiad_512", lists="realiad_jsons/realiad_jsons"):
    samples = [("train", "OK/S0001"), ("train", "OK/S0002"), ("test", "OK/S0003"), ("test", "NG/BX/S0001")]
    rows = {"train": [], "test": []}
    for split, folder in samples:
        kind = folder.split("/")[-2]
        for view in range(1, 6):
            stem = f"{folder}/{category}_{folder[-4:]}_{folder.replace('/', '_')[:-6]}_C{view}_20231021130235"
            # On the last side of the defective part nothing is to be seen.
            marked = kind != "OK" and view < 5
            tree.picture(f"{pictures}/{category}/{stem}.jpg")
            if marked:
                tree.mask(f"{pictures}/{category}/{stem}.png")
            rows[split].append(
                {
                    "category": category,
                    "anomaly_class": kind if marked else "OK",
                    "image_path": tree.named(f"{stem}.jpg"),
                    "mask_path": tree.named(f"{stem}.png") if marked else None,
                }
            )
    meta = {"prefix": f"{category}/", "normal_class": "OK", "pre_transform": None}
    tree.text(f"{lists}/{category}.json", json.dumps({"meta": meta, **rows}))


def kolektorsdd(tree):
    for n in (1, 2, 3):
        for k in range(2):
            tree.picture(f"kos{n:02}/Part{k}.jpg")
            tree.mask(f"kos{n:02}/Part{k}_label.bmp", value=255 if (n, k) == (2, 1) else 0)


def kolektorsdd2(tree):
    for split, numbers in (("train", range(10300, 10303)), ("test", range(20000, 20002))):
        for n in numbers:
            tree.picture(f"{split}/{n}.png")
            tree.mask(f"{split}/{n}_GT.png", value=255 if n % 2 else 0)
    tree.picture("train/10301 (copy).png")
    tree.mask("train/10301_GT (copy).png")


def dagm(tree, category="Class1", list_of_labels=True):
    folder = f"{category}/{category}"
    for split in ("Train", "Test"):
        lines = ["1"]
        for n in range(1, 5):
            defective = n == 3
            tree.picture(f"{folder}/{split}/{n:04}.png")
            mask = f"{n:04}_label.PNG" if defective else "0"
            lines.append(f"{n}\t{int(defective)}\t{n:04}.PNG\t0\t{mask}")
        tree.mask(f"{folder}/{split}/Label/0003_label.png")
        if list_of_labels:
            tree.text(f"{folder}/{split}/Label/Labels.txt", "\r\n".join(lines) + "\r\n")


def dagm_without_list(tree, category="Class1"):
    dagm(tree, category, list_of_labels=False)


def mtd(tree):
    for kind, number in (("Free", 100), ("Blowhole", 5000)):
        for exposure in (1, 2):
            tree.picture(f"MT_{kind}/Imgs/exp{exposure}_num_{number + exposure}.jpg")
            tree.mask(f"MT_{kind}/Imgs/exp{exposure}_num_{number + exposure}.png", value=0 if kind == "Free" else 255)


_LIGHTS = frozenset({"regular", "overexposed", "underexposed", "shift_1", "shift_2"})
_SIDES = frozenset({"C1", "C2", "C3", "C4", "C5"})
_WAX = frozenset({"chunk of wax missing", "burnt,melt"})

PUBLISHED = (
    Published(
        "mvtec", mvtec, "nut", "nut", Counter({(0, "train"): 3, (0, "test"): 1, (1, "test"): 2}), frozenset({"dent"}), 2
    ),
    Published(
        *("mvtec_loco", mvtec_loco, "breakfast_box", "breakfast_box"),
        Counter({(0, "train"): 5, (0, "test"): 1, (1, "test"): 4}),
        frozenset({"logical_anomalies", "structural_anomalies"}),
        masks=4,
    ),
    Published(
        *("mvtec_ad2", mvtec_ad2, "can", "can"),
        Counter({(0, "train"): 4, (0, "test"): 5, (1, "test"): 10}),
        frozenset({"bad"}),
        masks=10,
        objects=7,
        conditions=_LIGHTS,
    ),
    Published(
        *("mvtec_3d", mvtec_3d, "bagel", "bagel"),
        Counter({(0, "train"): 4, (0, "test"): 2, (1, "test"): 2}),
        frozenset({"hole"}),
        masks=4,
    ),
    Published(
        *("btad", btad, "01", "01"),
        Counter({(0, "train"): 3, (0, "test"): 1, (1, "test"): 2}),
        frozenset({"ko"}),
        masks=2,
    ),
    Published(
        *("visa", visa, "candle", "candle"), Counter({(0, "train"): 3, (0, "test"): 1, (1, "test"): 2}), _WAX, masks=2
    ),
    Published(
        *("visa", visa_without_split, "candle", "candle"), Counter({(0, "train"): 4, (1, "test"): 2}), _WAX, masks=2
    ),
    Published(
        *("real_iad", real_iad, "audiojack", "realiad_512/audiojack"),
        Counter({(0, "train"): 10, (0, "test"): 6, (1, "test"): 4}),
        frozenset({"BX"}),
        masks=4,
        objects=4,
        views=_SIDES,
    ),
    Published(
        *("kolektorsdd", kolektorsdd, None, "."),
        Counter({(None, ""): 6}),
        frozenset(),
        masks=6,
        objects=3,
        views=frozenset({"Part0", "Part1"}),
    ),
    Published(
        *("kolektorsdd2", kolektorsdd2, None, "."),
        Counter({(None, "train"): 3, (None, "test"): 2}),
        frozenset(),
        masks=5,
    ),
    *(
        Published(
            *("dagm", build, "Class1", "Class1/Class1"),
            Counter({(0, "train"): 3, (0, "test"): 3, (1, "train"): 1, (1, "test"): 1}),
            frozenset({"defect"}),
            masks=2,
            objects=8,
        )
        for build in (dagm, dagm_without_list)
    ),
    Published(
        *("mtd", mtd, None, "."),
        Counter({(0, "train"): 2, (1, "test"): 2}),
        frozenset({"blowhole"}),
        masks=4,
        objects=2,
        views=frozenset({"1", "2"}),
    ),
)
