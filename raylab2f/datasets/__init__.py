"""What a picture is: manifests, readers of dataset layouts, downloads, the synthetic demo."""

from raylab2f.datasets.loading import Dataset, load_dataset

__all__ = ["Dataset", "load_dataset"]
