"""What every segmenter takes and gives, whatever network is inside."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.models.segmentation.segmenter import Segmenter


class Recorder(nn.Module):
    """Stands in for a network: remembers its images and answers with them, reduced."""

    def __init__(self, *, stride: int = 1, auxiliary: bool = False) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 3, 1, bias=False)
        self.last = nn.Conv2d(3, 3, 1, bias=False)
        for layer in (self.body, self.last):
            nn.init.dirac_(layer.weight)
        self.stride, self.auxiliary = stride, auxiliary
        self.seen: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor | dict[str, Tensor]:
        self.seen = images
        scores: Tensor = functional.avg_pool2d(self.last(self.body(images)), self.stride)
        return {"aux": scores * 2, "out": scores} if self.auxiliary else scores


def picture(height: int, width: int) -> Tensor:
    """Two images that grow from left to right and from top to bottom."""
    rows, columns = torch.arange(float(height)), torch.arange(float(width))
    plane = rows[:, None] * 2 + columns
    return torch.stack([plane, plane + 1, -plane]).expand(2, 3, height, width).contiguous()


@pytest.mark.parametrize("divisor", [1, 8, 32])
@pytest.mark.parametrize("size", [(97, 131), (64, 96), (1, 5)])
def test_scores_have_the_size_of_the_images(size: tuple[int, int], divisor: int) -> None:
    network = Recorder()
    scores = Segmenter(network, body="body", divisor=divisor)(picture(*size))
    assert scores.shape == (2, 3, *size)
    # Nothing is moved: the image itself comes back, whatever it was padded with.
    torch.testing.assert_close(scores, picture(*size))
    assert network.seen is not None
    height, width = network.seen.shape[-2:]
    assert height % divisor == width % divisor == 0
    assert (height - size[0], width - size[1]) < (divisor, divisor)


def test_zeros_are_added_below_and_on_the_right_only_where_they_must() -> None:
    network = Recorder()
    Segmenter(network, body="body", divisor=8)(picture(9, 16))
    assert network.seen is not None
    assert network.seen.shape[-2:] == (16, 16)
    assert torch.equal(network.seen[..., :9, :], picture(9, 16))
    assert not network.seen[..., 9:, :].any()


def test_coarse_scores_are_resized_before_they_are_cropped() -> None:
    images = picture(10, 13)
    scores = Segmenter(Recorder(stride=4), body="body", divisor=8)(images)
    padded = functional.avg_pool2d(functional.pad(images, (0, 3, 0, 6)), 4)
    expected = functional.interpolate(padded, size=(16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(scores, expected[..., :10, :13])
    # A plane stays where it is, away from the edges.
    torch.testing.assert_close(scores[0, 0, 3:6, 3:8], images[0, 0, 3:6, 3:8])


def test_auxiliary_scores_are_for_training_and_of_the_same_size() -> None:
    segmenter = Segmenter(Recorder(stride=2, auxiliary=True), body="body", divisor=4)
    named = segmenter.training_scores(picture(6, 7))
    assert set(named) == {"out", "aux"}
    assert named["out"].shape == named["aux"].shape == (2, 3, 6, 7)
    assert torch.equal(named["aux"], named["out"] * 2)
    assert torch.equal(segmenter(picture(6, 7)), named["out"])
    plain = Segmenter(Recorder(stride=2), body="body", divisor=4)
    assert set(plain.training_scores(picture(6, 7))) == {"out"}


def test_the_head_is_what_is_not_the_body() -> None:
    segmenter = Segmenter(Recorder(), body="body")
    assert segmenter.head_parameters() == {"network.last.weight"}
    with pytest.raises(AttributeError, match="encoder"):
        Segmenter(Recorder(), body="encoder")


def test_a_body_whose_name_begins_like_another_part_is_told_apart() -> None:
    network = Recorder()
    network.body_of_another_part = nn.Conv2d(1, 1, 1, bias=False)
    assert "network.body_of_another_part.weight" in Segmenter(network, body="body").head_parameters()


def test_weights_lie_with_the_channels_last_where_that_is_faster() -> None:
    for channels_last in (True, False):
        network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1))
        segmenter = Segmenter(network, body="0", channels_last=channels_last)
        weight = next(segmenter.parameters())
        assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
        assert segmenter(picture(5, 7)).shape == (2, 4, 5, 7)
