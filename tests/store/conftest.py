"""Ten photos, and a store for them."""

from collections.abc import Callable

import numpy as np
import pytest
from photos import COUNT, SIZE, Counted
from PIL import Image

from mixnn.data.images import cache as store_module
from mixnn.data.images.cache import Opened, open_images
from mixnn.data.images.encoded import EncodedImages


@pytest.fixture
def files(tmp_path) -> Counted:
    random = np.random.RandomState(0)
    names = [f"{i}.png" for i in range(COUNT)]
    (tmp_path / "photos").mkdir()
    for name in names:
        Image.fromarray(random.randint(256, size=(10, 12, 3), dtype=np.uint8)).save(tmp_path / "photos" / name)
    return Counted(tmp_path / "photos", names)


@pytest.fixture
def cached(tmp_path, monkeypatch) -> Callable[..., Opened]:
    """open_images with a cache, or nowhere, in a folder that does not exist yet."""
    monkeypatch.setattr(store_module, "CHUNK", 2)

    def call(images: EncodedImages, store: str = "cache", **options: object) -> Opened:
        return open_images(images, SIZE, store=store, cache_dir=tmp_path / "new" / "cache", **options)

    return call
