"""The identities of style transfer's losses, and the lecture's formulas as slow loops."""

import pytest
import torch
from torch import Tensor

from lightning_modules.losses.style import (
    NORMALISATIONS,
    Normalisation,
    adain,
    content_loss,
    gram_matrix,
    mean_and_deviation,
    statistics_loss,
    style_layer_loss,
    total_variation,
)


def maps(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def slow_gram(each: Tensor) -> list[list[float]]:
    """Of one map (C, H, W)."""
    channels, height, width = each.shape
    return [
        [
            sum(float(each[i, y, x] * each[j, y, x]) for y in range(height) for x in range(width))
            for j in range(channels)
        ]
        for i in range(channels)
    ]


def test_the_gram_matrix_is_a_slow_loop() -> None:
    found = gram_matrix(maps(2, 3, 4, 5))
    assert found.shape == (2, 3, 3)
    for each, expected in zip(found, maps(2, 3, 4, 5), strict=True):
        assert torch.allclose(each, torch.tensor(slow_gram(expected), dtype=torch.float64))


def test_the_gram_matrix_is_symmetric_and_positive_semi_definite() -> None:
    # More channels than places, so that some eigenvalues are 0.
    found = gram_matrix(maps(2, 9, 2, 3))
    assert torch.allclose(found, found.transpose(1, 2), rtol=1e-12, atol=1e-12)  # up to the order of sums
    assert torch.linalg.eigvalsh(found).min() > -1e-9
    assert torch.linalg.matrix_rank(found).tolist() == [6, 6]


def test_the_gram_matrix_is_blind_to_where_things_are() -> None:
    original = maps(1, 4, 5, 6)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    moved = original.flatten(2)[:, :, order].reshape(1, 4, 6, 5)
    assert torch.allclose(gram_matrix(moved), gram_matrix(original), rtol=1e-12)
    assert not torch.allclose(moved.reshape(1, 4, 5, 6), original)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_a_picture_has_its_own_style_and_content(normalisation: Normalisation) -> None:
    own, other = maps(2, 4, 5, 6), maps(2, 4, 5, 6, seed=1)
    assert float(style_layer_loss(own, gram_matrix(own), normalisation=normalisation)) == 0
    assert float(content_loss(own, own, normalisation=normalisation)) == 0
    assert float(style_layer_loss(own, gram_matrix(other), normalisation=normalisation)) > 0
    assert float(content_loss(own, other, normalisation=normalisation)) > 0


def test_the_lectures_style_loss_is_a_slow_loop() -> None:
    own, style = maps(2, 3, 4, 5), maps(1, 3, 4, 5, seed=1)
    wanted = slow_gram(style[0])
    losses = []
    for each in own:
        gram = slow_gram(each)
        total = sum((gram[i][j] - wanted[i][j]) ** 2 for i in range(3) for j in range(3))
        losses.append((1 / (2 * 4 * 5 * 3)) ** 2 * total)
    found = style_layer_loss(own, gram_matrix(style), normalisation="lecture")
    assert float(found) == pytest.approx(sum(losses) / 2, rel=1e-12)


def test_the_lectures_content_loss_is_a_slow_loop() -> None:
    own, target = maps(2, 3, 4, 5), maps(2, 3, 4, 5, seed=1)
    squares = [(a - b) ** 2 for a, b in zip(own.flatten().tolist(), target.flatten().tolist(), strict=True)]
    found = content_loss(own, target, normalisation="lecture")
    assert float(found) == pytest.approx(sum(squares) / 2 / 2, rel=1e-12)


def test_relative_losses_have_no_unit() -> None:
    own, target = maps(1, 3, 4, 5), maps(1, 3, 4, 5, seed=1)
    for scale in (1.0, 1000.0):
        style = style_layer_loss(own * scale, gram_matrix(target * scale), normalisation="relative")
        content = content_loss(own * scale, target * scale, normalisation="relative")
        difference, wanted = gram_matrix(own) - gram_matrix(target), gram_matrix(target)
        assert float(style) == pytest.approx(float(difference.norm() ** 2 / wanted.norm() ** 2), rel=1e-9)
        assert float(content) == pytest.approx(
            float((own - target).square().mean() / target.var(correction=0)), rel=1e-9
        )
    black = torch.zeros(1, 3, 4, 5, dtype=torch.float64)
    assert float(style_layer_loss(black, gram_matrix(target), normalisation="relative")) == pytest.approx(1)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_a_style_picture_may_have_another_size(normalisation: Normalisation) -> None:
    """Twice the same picture, one above the other, has the style of one."""
    own = maps(1, 3, 4, 5)
    twice = torch.cat([own, own], dim=2)
    gram = gram_matrix(twice)
    assert float(style_layer_loss(own, gram, normalisation=normalisation, places=40)) == pytest.approx(0)
    assert float(style_layer_loss(own, gram, normalisation=normalisation)) > 0.01


def test_a_constant_has_no_variation() -> None:
    assert float(total_variation(torch.full((2, 3, 5, 4), 0.7))) == 0
    steps = torch.arange(4.0).expand(1, 3, 5, 4) / 10
    assert float(total_variation(steps)) == pytest.approx(0.1)
    assert float(total_variation(steps.transpose(2, 3))) == pytest.approx(0.1)


def test_adain_gives_the_styles_mean_and_deviation() -> None:
    content, style = maps(2, 3, 8, 9) * 5 + 2, maps(2, 3, 4, 5, seed=1) * 3 - 7
    found = adain(content, style)
    assert found.shape == content.shape
    assert torch.allclose(found.mean(dim=(2, 3)), style.mean(dim=(2, 3)), atol=1e-9)
    deviations = [each.std(dim=(2, 3), correction=0) for each in (found, style)]
    assert torch.allclose(deviations[0], deviations[1], rtol=1e-5)
    assert float(statistics_loss(found, style)) == pytest.approx(0, abs=1e-9)


def test_adain_keeps_the_layout_and_constant_channels_are_no_trouble() -> None:
    content, style = maps(1, 2, 6, 6), maps(1, 2, 6, 6, seed=1)
    ranks = [each.flatten(2).argsort(dim=2) for each in (content, adain(content, style))]
    assert torch.equal(ranks[0], ranks[1])
    flat = torch.ones(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(statistics_loss(adain(flat, style), style), flat)
    assert torch.isfinite(gradient).all()


def test_the_statistics_loss_is_a_slow_loop() -> None:
    own, style = maps(2, 3, 4, 5), maps(1, 3, 7, 2, seed=1)
    means, deviations = mean_and_deviation(own)
    total = 0.0
    for picture in range(2):
        for channel in range(3):
            values, wanted = own[picture, channel].flatten(), style[0, channel].flatten()
            assert float(means[picture, channel]) == pytest.approx(float(values.mean()))
            spread = float((wanted - wanted.mean()).square().mean().sqrt())
            total += (float(values.mean()) - float(wanted.mean())) ** 2
            total += (float(deviations[picture, channel]) - spread) ** 2
    assert float(statistics_loss(own, style)) == pytest.approx(total / 6, rel=1e-3)


def test_an_unknown_normalisation_is_refused_by_name() -> None:
    own = maps(1, 3, 4, 5)
    with pytest.raises(ValueError, match=r"task.normalisation=softmax is not one of lecture, relative"):
        style_layer_loss(own, gram_matrix(own), normalisation="softmax")  # type: ignore[arg-type]


def test_a_black_style_or_content_gives_finite_losses() -> None:
    own = maps(1, 3, 4, 5).float().requires_grad_()
    black = torch.zeros(1, 3, 4, 5)
    loss = style_layer_loss(own, gram_matrix(black), normalisation="relative")
    assert torch.isfinite(loss + content_loss(own, black, normalisation="relative"))
