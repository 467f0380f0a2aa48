"""Sizes that an exported detector resizes to: those that torchvision computes, and not a pixel less."""

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from lightning_modules.models.detection.exportable import ExactTransform

NOTHING = ([0.0] * 3, [1.0] * 3)
# 33 x 200 and its like come out a pixel smaller in 32 bits.
SIDES = [(33, 200), (200, 33), (48, 48), (65, 97), *((17 + 7 * step, 501 - 9 * step) for step in range(50))]


class Resized(nn.Module):
    """Only the part of a detector that resizes."""

    def __init__(self, sizes: tuple[int, int]) -> None:
        super().__init__()
        self.transform = ExactTransform(*sizes, *NOTHING)

    def forward(self, image: Tensor) -> Tensor:
        """The resized image (3, H, W)."""
        resized: Tensor = self.transform.resize(image)[0]
        return resized


@pytest.mark.parametrize("sizes", [(48, 80), (80, 133)])
def test_sizes_are_those_of_torchvision(sizes: tuple[int, int], tmp_path: Path) -> None:
    network, file = Resized(sizes).eval(), str(tmp_path / "resized.onnx")
    torch.onnx.export(
        network,
        (torch.zeros(3, 65, 97),),
        file,
        dynamo=False,
        input_names=["image"],
        dynamic_axes={"image": {1: "height", 2: "width"}},
        opset_version=18,
    )
    session = onnxruntime.InferenceSession(file)
    usual = GeneralizedRCNNTransform(*sizes, *NOTHING).eval()
    for height, width in SIDES:
        image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height))
        right = usual.resize(image)[0]
        torch.testing.assert_close(network(image), right, rtol=0, atol=0)
        (found,) = session.run(None, {"image": image.numpy()})
        # Places between pixels are known to 32 bits: at 500 pixels to 3e-5 of one.
        torch.testing.assert_close(torch.as_tensor(found), right, rtol=0, atol=1e-4)
