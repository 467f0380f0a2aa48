"""Batch norm behind pooling over the whole image, for batches of one image."""

from torch import Tensor, nn
from torch.nn import functional


class PooledBatchNorm(nn.BatchNorm2d):
    """Batch norm that uses its running statistics where a batch has one value for each channel.

    torch refuses to train on these: their variance is unknown. The keys of its state dict are those of
    ``nn.BatchNorm2d``.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        if not self.training or values.numel() > values.shape[1]:
            return super().forward(values)
        return functional.batch_norm(
            values, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )


def allow_single_images(network: nn.Module) -> None:
    """Exchange the batch norms behind pooling over the whole image, so that the last batch may be one image.

    Args:
        network: New, and changed in place.
    """
    for module in list(network.modules()):
        if not isinstance(module, nn.Sequential) or not len(module):
            continue
        if isinstance(module[0], nn.AdaptiveAvgPool2d) and module[0].output_size in (1, (1, 1)):
            for position, layer in enumerate(module):
                if type(layer) is nn.BatchNorm2d:
                    module[position] = PooledBatchNorm(layer.num_features, eps=layer.eps)
