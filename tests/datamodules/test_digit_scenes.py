"""Digit scenes: exact to the pixel, the same everywhere, and kept on disk without ever being wrong."""

import hashlib
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datamodules.detection import DigitScenes
from datamodules.embedded import digit_scenes, photographs, scene_cache
from datamodules.embedded.digit_scenes import read_digit_scenes
from datamodules.embedded.digits import read_scans, writer_blocks
from datamodules.embedded.photographs import PHOTOGRAPHS
from datamodules.embedded.scene import Material, make_scene
from datamodules.embedded.scene_cache import cached_arrays
from datamodules.randomness import stable_hash
from datamodules.readers.boxed import Boxed

ROOT = Path(__file__).parents[2]
SIZES = {"train": 24, "val": 8, "test": 8}
LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which small scenes have been kept."""
    folder = tmp_path_factory.mktemp("scenes")
    read_digit_scenes(cache_dir=folder, sizes=SIZES)
    return folder


@pytest.fixture
def scenes(kept: Path) -> Boxed:
    return read_digit_scenes(cache_dir=kept, sizes=SIZES)


@pytest.fixture
def not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where scenes are made and not read."""
    monkeypatch.setattr(digit_scenes, "_make_scenes", lambda *_: pytest.fail("scenes are made again"))


# what is in a scene


def test_boxes_are_tight_around_masks_and_areas_count_their_pixels(scenes: Boxed) -> None:
    for position in range(40):
        picture = scenes.picture(position, with_masks=True)
        assert picture.masks is not None
        assert picture.masks.shape == (len(picture), *picture.picture.shape[:2])
        for box, area, mask in zip(picture.boxes, picture.areas, picture.masks, strict=True):
            x, y, width, height = cv2.boundingRect(mask)
            assert box.tolist() == [x, y, x + width, y + height]
            assert area == mask.sum() > 0
            assert mask.max() == 1


def test_digits_stay_apart_and_inside(scenes: Boxed) -> None:
    for position in range(40):
        picture = scenes.picture(position, with_masks=True)
        assert picture.masks is not None
        assert 1 <= len(picture) <= 6
        grown = [cv2.dilate(mask, np.ones((3, 3), dtype=np.uint8)) for mask in picture.masks]
        assert np.sum(grown, axis=0).max() == 1
        sides = picture.boxes[:, 2:] - picture.boxes[:, :2]
        assert sides.max(axis=1).min() >= 8 and sides.max() <= 40
        assert picture.boxes.min() >= 0 and picture.boxes.max() <= len(picture.picture)


def test_sizes_are_those_of_the_pictures(scenes: Boxed) -> None:
    sides = set()
    for position, (height, width) in enumerate(scenes.sizes.tolist()):
        picture = scenes.source.read(position)
        assert picture.shape == (height, width, 3) and height == width
        sides.add(height)
    assert sides == {96, 112, 128, 144, 160}
    assert [len(scenes.splits[split]) for split in SIZES] == list(SIZES.values())


@pytest.mark.parametrize("grey", [0, 100, 127, 255])
def test_digits_are_scans_blended_in_one_colour_that_stands_out(grey: int) -> None:
    """On a wall of one grey, ink and colour can be read off the picture."""
    scans, labels = read_scans()
    wall = np.full((400, 400, 3), grey, dtype=np.uint8)
    for number in range(8):
        only = Material(photographs=[wall], scans=scans[[number]], labels=labels[[number]])
        scene = make_scene(only, seed=number)
        assert (scene.labels == labels[number]).all()
        for k, (x1, y1, x2, y2) in enumerate(scene.boxes.astype(int).tolist(), start=1):
            inside = scene.instances[y1:y2, x1:x2] == k
            change = scene.picture[y1:y2, x1:x2].astype(float) - grey
            contrast = change @ LUMA
            assert np.abs(contrast).max() >= 90 - 1
            full = change.reshape(-1, 3)[np.abs(contrast).argmax()]
            ink = contrast / contrast.flat[np.abs(contrast).argmax()]
            assert ink[inside].min() > 0.49 and (ink[~inside] < 0.51).all()
            assert np.abs(change - full * ink[..., None]).max() < 4


# what is apart


def test_photographs_and_scans_are_of_one_split_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    used: dict[int, Material] = {}

    def remember(material: Material, *, seed: int) -> Any:
        used[id(material)] = material
        return make_scene(material, seed=seed)

    monkeypatch.setattr(digit_scenes, "make_scene", remember)
    read_digit_scenes(cache_dir=tmp_path, sizes={"train": 2, "val": 2, "test": 2})
    scans, labels = read_scans()
    blocks = writer_blocks(len(scans))
    for material, split in zip(used.values(), ("train", "val", "test"), strict=True):
        assert np.array_equal(material.scans, scans[blocks[split]])
        assert np.array_equal(material.labels, labels[blocks[split]])
        assert len(material.photographs) == len(PHOTOGRAPHS[split]) >= 2
        assert all(min(photograph.shape[:2]) >= 300 for photograph in material.photographs)
    pictures = [p.tobytes() for material in used.values() for p in material.photographs]
    assert len({hashlib.sha256(picture).digest() for picture in pictures}) == len(pictures) == 10
    assert not any("motorcycle_right" in name for named in PHOTOGRAPHS.values() for name in named)
    assert sorted(np.concatenate(list(blocks.values())).tolist()) == list(range(1797))


# what decides a scene


def test_a_scene_depends_on_seed_split_and_number_alone(scenes: Boxed, tmp_path: Path) -> None:
    more = read_digit_scenes(cache_dir=tmp_path, sizes={"train": 30, "val": 9, "test": 8})
    for split in SIZES:
        for old, new in zip(scenes.splits[split].tolist(), more.splits[split].tolist(), strict=False):
            first, second = scenes.picture(old, with_masks=True), more.picture(new, with_masks=True)
            assert np.array_equal(first.picture, second.picture)
            assert np.array_equal(first.masks, second.masks)  # type: ignore[arg-type]
            assert np.array_equal(first.labels, second.labels)
    scans, labels = read_scans()
    held = writer_blocks(len(scans))["val"]
    material = Material(
        photographs=photographs.read_photographs("val"), scans=scans[held], labels=labels[held]
    )
    alone = make_scene(material, seed=stable_hash(0, 1, 5))
    assert np.array_equal(alone.picture, scenes.source.read(24 + 5))


def test_scenes_differ_from_each_other_and_between_seeds(scenes: Boxed, tmp_path: Path) -> None:
    other = read_digit_scenes(cache_dir=tmp_path, seed=1, sizes=SIZES)
    pictures = {data.source.read(position).tobytes() for data in (scenes, other) for position in range(40)}
    assert len(pictures) == 80
    assert scenes.digest() != other.digest()
    assert len(scenes.digest()) == len(scenes.source.digest()) == 64


def test_another_process_makes_the_same_scenes(scenes: Boxed, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from datamodules.embedded.digit_scenes import read_digit_scenes; "
        f"print(read_digit_scenes(cache_dir=Path({str(tmp_path)!r}), sizes={SIZES}).digest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == scenes.digest()


# how scenes are kept


def folders(kept: Path) -> list[Path]:
    return sorted(kept.iterdir())


@pytest.mark.usefixtures("not_made")
def test_scenes_are_read_from_disk_and_shared(kept: Path) -> None:
    scenes = read_digit_scenes(cache_dir=kept, sizes=SIZES)
    assert isinstance(scenes.source, digit_scenes.SceneSource)
    assert isinstance(scenes.source._pixels.content, np.memmap)
    sent = pickle.dumps((scenes.source, scenes.masks))
    assert len(sent) < 20_000
    source, masks = pickle.loads(sent)
    assert np.array_equal(source.read(30), scenes.source.read(30))
    height, width = scenes.sizes[39].tolist()
    assert masks.read(len(scenes.boxes) - 1, height=height, width=width).sum() == scenes.areas[-1]
    assert len(folders(kept)) == 1


def test_pictures_and_masks_may_be_changed(scenes: Boxed) -> None:
    before = scenes.source.digest()
    for picture in (scenes.picture(3, with_masks=True), scenes.picture(3, with_masks=True)):
        assert picture.masks is not None and picture.masks.max() == 1
        for array in (picture.picture, picture.boxes, picture.masks):
            array[...] = 9
    assert scenes.source.digest() == before


def damage_byte(folder: Path) -> None:
    path = folder / "pixels.npy"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)


def cut_short(folder: Path) -> None:
    path = folder / "instances.npy"
    path.write_bytes(path.read_bytes()[:-10])


def remove_file(folder: Path) -> None:
    (folder / "boxes.npy").unlink()


def empty_file(folder: Path) -> None:
    (folder / "labels.npy").write_bytes(b"")


def remove_manifest(folder: Path) -> None:
    (folder / scene_cache.MANIFEST).unlink()


def break_manifest(folder: Path) -> None:
    (folder / scene_cache.MANIFEST).write_text('{"sha256": 3}')


@pytest.mark.parametrize(
    "damage", [damage_byte, cut_short, remove_file, empty_file, remove_manifest, break_manifest]
)
def test_damaged_scenes_are_made_anew(damage: Any, scenes: Boxed, tmp_path: Path) -> None:
    read_digit_scenes(cache_dir=tmp_path, sizes=SIZES)
    [folder] = folders(tmp_path)
    damage(folder)
    again = read_digit_scenes(cache_dir=tmp_path, sizes=SIZES)
    assert again.digest() == scenes.digest()
    assert np.array_equal(again.areas, scenes.areas)
    assert folders(tmp_path) == [folder]
    assert scene_cache._read(folder) is not None


def test_a_folder_that_cannot_be_written_to_is_no_error(
    scenes: Boxed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        found = read_digit_scenes(cache_dir=tmp_path / "file" / "scenes", sizes=SIZES)
    assert found.digest() == scenes.digest()
    assert "stay in memory" in caplog.text
    assert pickle.loads(pickle.dumps(found.source)).digest() == found.source.digest()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = np.save

    def fail_later(path: Path, array: Any) -> None:
        if path.stem == "second":
            raise OSError(28, "No space left on device")
        saved(path, array)

    monkeypatch.setattr(np, "save", fail_later)
    arrays = {"first": np.arange(3), "second": np.arange(4)}
    found = cached_arrays(cache_dir=tmp_path, title="numbers", decided_by={}, make=lambda: arrays)
    assert found is arrays
    assert folders(tmp_path) == []


def make_together(folder: Path, barrier: Any, answers: Any) -> None:
    def make() -> dict[str, Any]:
        barrier.wait()
        return {"numbers": np.arange(100_000)}

    found = cached_arrays(cache_dir=folder, title="numbers", decided_by={"seed": 1}, make=make)
    answers.put((int(found["numbers"].sum()), isinstance(found["numbers"], np.memmap)))


@pytest.mark.parametrize("is_damaged", [False, True])
def test_processes_may_make_the_same_arrays_at_once(tmp_path: Path, is_damaged: bool) -> None:
    if is_damaged:
        cached_arrays(
            cache_dir=tmp_path,
            title="numbers",
            decided_by={"seed": 1},
            make=lambda: {"numbers": np.arange(5)},
        )
        break_manifest(folders(tmp_path)[0])
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(3), context.Queue()
    workers = [context.Process(target=make_together, args=(tmp_path, barrier, answers)) for _ in range(3)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join(timeout=30)
        assert worker.exitcode == 0
    assert {total for total, _ in found} == {4_999_950_000}
    assert is_damaged or all(is_shared for _, is_shared in found)
    [folder] = folders(tmp_path)
    assert scene_cache._read(folder) is not None


def test_everything_that_decides_the_content_names_the_folder(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"train": 1, "val": 1, "test": 1}
    read_digit_scenes(cache_dir=tmp_path, sizes=small)
    read_digit_scenes(cache_dir=tmp_path, sizes=small, seed=1)
    read_digit_scenes(cache_dir=tmp_path, sizes={**small, "val": 2})
    monkeypatch.setattr(digit_scenes, "photographs_digest", lambda: "other photographs")
    read_digit_scenes(cache_dir=tmp_path, sizes=small)
    monkeypatch.setattr(digit_scenes, "SCENES_VERSION", 0)
    read_digit_scenes(cache_dir=tmp_path, sizes=small)
    monkeypatch.setattr(digit_scenes, "version", lambda package: "9.9")
    read_digit_scenes(cache_dir=tmp_path, sizes=small)
    assert len(folders(tmp_path)) == 6


def test_a_missing_photograph_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PHOTOGRAPHS, "val", ("skimage/no_such.png",))
    with pytest.raises(ValueError, match=r"no_such\.png is missing; install the version of skimage"):
        read_digit_scenes(cache_dir=tmp_path, sizes=SIZES)
    monkeypatch.setitem(PHOTOGRAPHS, "val", ("no_such_package/cat.png",))
    with pytest.raises(ValueError, match="no_such_package, which is not installed"):
        read_digit_scenes(cache_dir=tmp_path, sizes=SIZES)


# the data module


def module(cache_dir: Path, **changes: Any) -> DigitScenes:
    return DigitScenes(
        transforms={"train": {}, "eval": {}},
        seed=0,
        image_size=128,
        cache_dir=str(cache_dir),
        num_train=24,
        num_val=8,
        num_test=8,
        **changes,
    )


def test_the_data_module_reads_the_scenes(kept: Path, scenes: Boxed) -> None:
    data = module(kept, scale="light", batch_size=3)
    data.prepare_data()
    data.setup()
    summary = data.summary()
    assert summary["sizes"] == SIZES
    assert summary["digest"] == scenes.digest()
    assert data.metadata["class_names"] == [str(digit) for digit in range(10)]
    assert data.metadata["category_ids"] == list(range(10))
    assert sum(data.metadata["class_counts"]) == len(scenes.of_split("train"))
    batch = next(iter(data.test_dataloader()))
    assert np.array_equal(batch["image"][1].numpy().transpose(1, 2, 0), scenes.source.read(33))


def test_wrong_numbers_of_scenes_are_refused(kept: Path) -> None:
    options: dict[str, Any] = {"transforms": {"train": {}, "eval": {}}, "seed": 0, "image_size": 128}
    with pytest.raises(ValueError, match=r"data\.num_val=0 must be at least 1"):
        DigitScenes(cache_dir=str(kept), num_val=0, **options)
