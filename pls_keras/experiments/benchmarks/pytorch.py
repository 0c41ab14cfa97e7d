"""The same ResNet and the same step, written plainly in PyTorch, to measure against."""

import importlib.util
import itertools
import time


class PyTorchTwin:
    """A ResNet for 32×32 images and ten classes, channels last, trained by SGD with Nesterov momentum.

    Args:
        blocks: number of basic blocks in each stage.
        width: channels of the first stage.
        precision: "float32", or "mixed_bfloat16" for PyTorch's autocast to bfloat16.
    """

    def __init__(self, blocks, width, precision):
        import torch

        torch.manual_seed(0)
        self.network = pytorch_resnet(blocks, width).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.01, momentum=0.9, nesterov=True)
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "mixed_bfloat16")

    @staticmethod
    def is_installed():
        """Whether there is a PyTorch."""
        return importlib.util.find_spec("torch") is not None

    def seconds(self, x, y, batch_size):
        """Train an epoch. Returns its seconds.

        Args:
            x: images (n, height, width, channels).
            y: class ids (n,).
            batch_size: images a step.
        """
        import torch

        x = torch.from_numpy(x).permute(0, 3, 1, 2)  # of channels-last memory
        y = torch.from_numpy(y)
        start = time.perf_counter()
        for rows in torch.randperm(len(y)).split(batch_size):
            with self.autocast:
                loss = torch.nn.functional.cross_entropy(self.network(x[rows]), y[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return time.perf_counter() - start


def pytorch_resnet(blocks, width):
    """The network of `pls_keras.models.ResNet` for ten classes, ending in logits, in PyTorch."""
    import torch
    from torch import nn

    def conv_norm(channels, filters, kernel_size, strides):
        conv = nn.Conv2d(channels, filters, kernel_size, strides, padding=kernel_size // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(filters))

    class Block(nn.Module):
        def __init__(self, channels, filters, strides):
            super().__init__()
            changes = strides != 1 or channels != filters
            self.shortcut = conv_norm(channels, filters, 1, strides) if changes else nn.Identity()
            self.first = conv_norm(channels, filters, 3, strides)
            self.second = conv_norm(filters, filters, 3, 1)

        def forward(self, x):
            return torch.relu(self.shortcut(x) + self.second(torch.relu(self.first(x))))

    filters = [width * 2**stage for stage, depth in enumerate(blocks) for _ in range(depth)]
    starts = [block == 0 for depth in blocks for block in range(depth)]
    layers = [conv_norm(3, width, 3, 1), nn.ReLU()]
    for (before, after), is_start in zip(itertools.pairwise([width, *filters]), starts, strict=True):
        layers.append(Block(before, after, 2 if is_start and after != width else 1))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(filters[-1], 10))
