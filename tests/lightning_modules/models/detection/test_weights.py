"""Trained weights of whole detectors: from the cache of downloads, and from files."""

import re
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor
from torchvision.models import detection
from torchvision.ops import FrozenBatchNorm2d

from tests.lightning_modules.models.detection.builders import BUILDERS, light, on_shapes, pictures

FASTER = detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1


def save(state: Any, folder: Path, name: str = "weights.pth") -> str:
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / name)
    return str(folder / name)


def numbered(shapes: dict[str, Tensor]) -> dict[str, Tensor]:
    """A number of its own for every key, in almost no space."""
    return {
        key: torch.tensor(float(position + 1)).to(value.dtype).expand(value.shape)
        for position, (key, value) in enumerate(shapes.items())
    }


def as_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keys as torchvision's files have them, which were written before its pyramid was rewritten."""
    return {re.sub(r"(inner|layer)_blocks\.(\d)\.0\.", r"\1_blocks.\2.", key): state[key] for key in state}


def test_a_detector_comes_back_from_a_file(tmp_path: Path) -> None:
    expected = light("mask_rcnn").state_dict()
    for state in (expected, {f"model.{key}": value for key, value in expected.items()}):
        path = save({"state_dict": state}, tmp_path)
        torch.manual_seed(1)
        found = BUILDERS["mask_rcnn"](num_classes=3, image_size=64, scale="light", pretrained=path)
        assert all(torch.equal(value, expected[key]) for key, value in found.state_dict().items())


def test_torchvisions_own_keys_fit_as_well(tmp_path: Path) -> None:
    expected = light("retinanet").network.state_dict()
    found = light("retinanet", pretrained=save(expected, tmp_path))
    assert all(torch.equal(value, expected[key]) for key, value in found.network.state_dict().items())


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_another_number_of_classes_leaves_only_the_last_layers_random(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = light(name, num_classes=7).state_dict()
    expected = {key: torch.full_like(value, 0.5) for key, value in expected.items()}
    detector = light(name, num_classes=3, pretrained=save(expected, tmp_path))
    found = detector.state_dict()
    random = {key for key, value in found.items() if not torch.equal(value, torch.full_like(value, 0.5))}
    assert random
    assert all(re.search(r"box_predictor|mask_fcn_logits|classification_head", key) for key in random)
    (record,) = caplog.records
    assert "another number of classes or anchors" in record.message
    assert all(key.removeprefix("network.").rpartition(".")[0] in record.message for key in random)


def test_weights_that_do_not_fit_are_refused_with_the_first_differences(tmp_path: Path) -> None:
    retinanet = save(light("retinanet").state_dict(), tmp_path, "retinanet.pth")
    with pytest.raises(ValueError, match=r"retinanet\.pth\) do not fit the model: .*is missing.* more;"):
        light("faster_rcnn", pretrained=retinanet)
    state = light("faster_rcnn").state_dict()
    state["network.backbone.body.conv1.weight"] = torch.zeros(32, 3, 3, 3)
    with pytest.raises(ValueError, match=r"conv1\.weight is \(32, 3, 3, 3\) there and \(32, 3, 7, 7\)"):
        light("faster_rcnn", pretrained=save(state, tmp_path))
    del state["network.backbone.body.conv1.weight"]
    with pytest.raises(ValueError, match=r"backbone\.body\.conv1\.weight is missing"):
        light("faster_rcnn", pretrained=save(state, tmp_path))


def test_the_published_detector_comes_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = numbered(on_shapes("faster_rcnn", norm="frozen").network.state_dict())
    save(as_published(state), tmp_path / "checkpoints", FASTER.url.rpartition("/")[2])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    network = BUILDERS["faster_rcnn"](num_classes=5, pretrained="coco").network
    found = network.state_dict()
    assert {key for key in found if found[key].shape != state[key].shape} == {
        f"roi_heads.box_predictor.{key}"
        for key in ("cls_score.weight", "cls_score.bias", "bbox_pred.weight", "bbox_pred.bias")
    }
    kept = [key for key in found if "box_predictor" not in key and not key.endswith("running_var")]
    assert all(torch.equal(found[key], state[key]) for key in kept)
    # Trained without an epsilon: what is added later is taken off here.
    variances = [key for key in found if key.endswith("running_var")]
    assert variances
    assert all(torch.equal(found[key], state[key] - 1e-5) for key in variances)
    (message,) = [record.getMessage() for record in caplog.records if "random weights" in record.getMessage()]
    assert message.endswith("roi_heads.box_predictor.bbox_pred, roi_heads.box_predictor.cls_score")
    frozen = {key.split(".")[2] for key, value in network.named_parameters() if not value.requires_grad}
    assert frozen == {"conv1", "layer1"}


def frozen_eps(detector: Any) -> set[float]:
    return {module.eps for module in detector.modules() if isinstance(module, FrozenBatchNorm2d)}


@pytest.mark.parametrize("name", ["faster_rcnn", "mask_rcnn", "retinanet", "fcos"])
def test_weights_that_a_checkpoint_brings_need_no_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", None)
    detector = on_shapes(name, pretrained="coco", load_weights=False)
    # The same norms as with the file, so that the checkpoint fits and answers alike.
    for word in ("coco", "backbone", "elsewhere.pth"):
        assert frozen_eps(on_shapes(name, pretrained=word, load_weights=False)) == {1e-5}
    assert frozen_eps(detector) == {1e-5}
    assert not frozen_eps(on_shapes(name))


def test_the_published_file_means_the_same_by_its_path_and_a_run_of_ours_is_left_alone(
    tmp_path: Path,
) -> None:
    state = numbered(on_shapes("faster_rcnn", norm="frozen").network.state_dict())
    published, own = (
        save(as_published(state), tmp_path, name) for name in (FASTER.url.rpartition("/")[2], "own.pth")
    )
    for path, taken_off in ((published, 1e-5), (own, 0.0)):
        found = BUILDERS["faster_rcnn"](num_classes=90, pretrained=str(path)).network.state_dict()
        variances = [key for key in found if key.endswith("running_var")]
        assert all(torch.equal(found[key], state[key] - taken_off) for key in variances)


def test_stages_of_vgg_are_frozen_from_the_image_on() -> None:
    frozen = []
    for stages in range(6):
        network = on_shapes("ssd300", trainable_stages=stages).network
        frozen.append(sum(not value.requires_grad for value in network.parameters()))
    # Two parameters for each convolution: 2, 2, 3, 3 and 3 of them.
    assert frozen == [26, 20, 14, 8, 4, 0]
    weights = on_shapes("ssd300", pretrained="backbone", load_weights=False).network
    assert sum(not value.requires_grad for value in weights.parameters()) == 4


@pytest.mark.parametrize("trainable", [0, 2])
def test_frozen_stages_have_no_gradient(trainable: int) -> None:
    detector = light("fcos", backbone="light", trainable_stages=trainable)
    losses = detector(
        pictures(), [{"boxes": torch.tensor([[4.0, 4.0, 30.0, 30.0]]), "labels": torch.tensor([0])}] * 2
    )
    sum(losses.values()).backward()
    body = dict(detector.network.backbone.body.named_parameters())
    learning = {key.split(".")[0] for key, value in body.items() if value.grad is not None}
    assert learning == ({"layer2", "layer3"} if trainable == 2 else set())


def test_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(
        OSError,
        match=r"model\.pretrained=coco needs FasterRCNN_.*fasterrcnn_resnet50_fpn_coco.*no route.*",
    ):
        on_shapes("faster_rcnn", pretrained="coco")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("faster_rcnn", {"pretrained": "coco", "scale": "light"}, r"needs model\.scale=published"),
        ("ssd300", {"pretrained": "coco", "scale": "light"}, r"needs model\.scale=published"),
        (
            "fcos",
            {"pretrained": "coco", "backbone": "resnet18"},
            r"backbone=resnet50, not .* resnet18",
        ),
        ("retinanet", {"pretrained": "coco", "norm": "group"}, r"not model\.norm=group"),
        ("mask_rcnn", {"pretrained": "nowhere.pth"}, r"=nowhere\.pth is none of none, backbone, coco"),
        ("ssd300", {"pretrained": "nowhere.pth"}, r"=nowhere\.pth is none of none, backbone, coco"),
        ("faster_rcnn", {"trainable_stages": 6}, r"model\.trainable_stages=6 must be 0 to 5"),
        ("ssd300", {"trainable_stages": -1}, r"model\.trainable_stages=-1 must be 0 to 5"),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        on_shapes(name, **options)
