"""The sliding window: each pixel by itself, at its full price."""

import pytest
import torch

from lightning_modules.counting import count_multiply_adds
from lightning_modules.models.segmentation import patch_classifier as file
from tests.lightning_modules.models.segmentation.lectures import light, on_shapes


@pytest.mark.parametrize("stride", [1, 4, 7])
def test_each_score_is_of_the_patch_around_its_pixel(stride: int) -> None:
    network = light("patch_classifier", stride=stride).eval().network
    images = torch.randn(2, 3, 28, 42)
    padded = torch.nn.functional.pad(images, (16, 16, 16, 16))
    with torch.no_grad():
        scores = network(images)
        assert scores.shape == (2, 3, 28 // stride, 42 // stride)
        for row, column in ((0, 0), (1, 2), (28 // stride - 1, 42 // stride - 1)):
            y, x = row * stride + stride // 2, column * stride + stride // 2
            patch = padded[:1, :, y : y + 33, x : x + 33]
            alone = network.classifier(network.features(patch))
            torch.testing.assert_close(scores[:1, :, row, column], alone, rtol=1e-4, atol=1e-5)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = light("patch_classifier", stride=4).eval()
    images = torch.randn(2, 3, 41, 30)
    with torch.no_grad():
        whole = model(images)
        monkeypatch.setattr(file, "PATCHES_AT_ONCE", 40)
        chunked = model(images)
        monkeypatch.setattr(file, "PATCHES_AT_ONCE", 1)
        by_row = model(images)
    torch.testing.assert_close(chunked, whole)
    torch.testing.assert_close(by_row, whole)


def test_few_patches_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "PATCHES_AT_ONCE", 100)
    network = light("patch_classifier", stride=1).eval().network
    seen: list[int] = []
    network.features.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    with torch.no_grad():
        network(torch.randn(2, 3, 20, 24))
    assert sum(seen) == 2 * 20 * 24
    assert max(seen) <= 100


def test_more_patches_than_memory_holds_are_refused_in_training_only() -> None:
    model, images = on_shapes("patch_classifier"), torch.zeros(1, 3, 512, 512, device="meta")
    message = (
        r"model\.stride=1 makes 262,144 patches .*memory is for 5,540.*data\.image_size.*model\.scale=light"
    )
    with pytest.raises(ValueError, match=message):
        model.train()(images)
    assert on_shapes("patch_classifier", stride=8).train()(images[..., :256, :256]).shape == (1, 2, 256, 256)
    assert model.eval()(images).shape == (1, 2, 512, 512)


def test_the_cost_is_that_of_all_patches() -> None:
    def cost(stride: int) -> int:
        model = on_shapes("patch_classifier", scale="light", num_classes=11, stride=stride)
        found = count_multiply_adds(model, torch.zeros(1, 3, 64, 64))
        assert found is not None
        return found

    one = 30**2 * 16 * 48 + 12**2 * 32 * 256 + 4**2 * 64 * 288 + 256 * 128 + 128 * 11
    assert cost(1) == 64 * 64 * one
    assert cost(8) == 8 * 8 * one
    published = count_multiply_adds(on_shapes("patch_classifier"), torch.zeros(1, 3, 16, 16))
    layers = 92**2 * 48 * 48 + 42**2 * 48 * 1200 + 18**2 * 48 * 768 + 6**2 * 48 * 768
    assert published == 16 * 16 * (layers + 48 * 9 * 200 + 200 * 2)


def test_strides_out_of_range_are_refused() -> None:
    for stride in (0, 34):
        with pytest.raises(ValueError, match=rf"model\.stride={stride} must be 1 to 33"):
            light("patch_classifier", stride=stride)
    with pytest.raises(ValueError, match=r"model\.pretrained=backbone is none of none"):
        light("patch_classifier", pretrained="backbone")
