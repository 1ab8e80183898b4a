"""What the same maps cost by captum and by pytorch-grad-cam, in training steps of torch.

    PYTHON tests/benchmarks/torch_cost.py [--tools ...] [--nets ...] [--rounds N]
    python tests/benchmarks/snapshot_cost.py --torch-python PYTHON

PYTHON is the interpreter of an environment of its own, ``pip install captum grad-cam`` (6 GB on Linux, where pip
takes torch for CUDA; everything here runs on the CPU): MXNet needs NumPy below 1.24, and what grad-cam installs a
newer one. It imports torchvision, whose wheel must be the one made for the torch beside it; ``--tools captum``
does with any torch.

Prints a Markdown table as `snapshot_cost` does, by the same protocol (`cold`), for the same nets, batches and
images, written here in plain torch. *step* is torch's own training step of the batch (eager, SGD, momentum), of
a net for each tool. The other cells are the time from the net to the maps, in such steps; "—": the tool lacks a
method. The target is each image's predicted class, the layer the last convolution. Ratios of different frameworks
compare what a snapshot takes from a training, not how fast the frameworks are.

What each does otherwise than `vizcallbacks.explain`, and how it is called here:

- captum asks for the targets, so there is one forward pass more to find them. Each method runs the net anew.
  The caller puts the net into eval mode and back. ReLUs that are functions, not modules, are not guided.
- pytorch-grad-cam's Grad-CAM maps are scaled to the size and the range of an image, which cannot be left out.
  Its guided model takes one image at a time: it reads row 0 of the output; afterwards one new ReLU stands in
  the places of all. Both run backward through all parameters and leave gradients there, and leave the net in
  eval mode: here it is put back into train mode and the next training step clears the gradients. It has no
  saliency: no default set.
- Neither tells which activations were guided. Guided gradient times upsampled Grad-CAM is part of the cell.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from cold import BATCHES, measure, options, print_head, print_row  # its neighbour: `tests` imports MXNet

INSTALL = "pip install captum grad-cam"


def _missing(package) -> str:
    return f"{package} is not installed for {sys.executable}; in an environment without mxnet: {INSTALL}"


try:
    import torch
    from torch import nn
except ModuleNotFoundError as error:
    raise SystemExit(_missing(error.name)) from error


class Residual(nn.Module):
    """ReLU of the body's output and the shortcut's."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(*_conv(inputs, outputs, 1, stride))
        self.body = nn.Sequential(
            *_conv(inputs, outputs, 3, stride), nn.ReLU(), *_conv(outputs, outputs, 3, 1)
        )
        self.relu = nn.ReLU()

    def forward(self, data):
        return self.relu(self.body(data) + self.shortcut(data))


def resnet18() -> nn.Module:
    """He et al., 2015, arXiv:1512.03385, table 1."""
    stem = [*_conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return _classifier([*stem, *_stages([64, 64, 128, 256, 512], blocks=2)], 512, 1000)


def cifar_resnet20() -> nn.Module:
    """He et al., 2015, section 4.2, without a ReLU before the first block, with projections: GluonCV's."""
    return _classifier([*_conv(3, 16, 3, 1), *_stages([16, 16, 32, 64], blocks=3)], 64, 10)


def mobilenet() -> nn.Module:
    """Howard et al., 2017, arXiv:1704.04861, table 1."""
    widths = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    halving = {2, 4, 6, 12}
    layers = [*_conv(3, 32, 3, 2), nn.ReLU()]
    for place, (inputs, outputs) in enumerate(zip(widths, widths[1:]), start=1):
        stride = 2 if place in halving else 1
        layers += [*_conv(inputs, inputs, 3, stride, groups=inputs), nn.ReLU()]
        layers += [*_conv(inputs, outputs, 1, 1), nn.ReLU()]
    return _classifier(layers, 1024, 1000)


def _conv(inputs: int, outputs: int, size: int, stride: int, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def _stages(widths: list[int], blocks: int) -> list[nn.Module]:
    """Residual stages; all but the first halve the size. `widths` begins with that of the input."""
    found = []
    for stage, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        found.append(Residual(inputs, outputs, 2 if stage else 1))
        found += [Residual(outputs, outputs, 1) for _ in range(blocks - 1)]
    return found


def _classifier(features: list[nn.Module], channels: int, classes: int) -> nn.Module:
    return nn.Sequential(*features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


NETS: dict[str, Callable[[], nn.Module]] = {
    "resnet18_v1": resnet18,
    "mobilenet1.0": mobilenet,
    "cifar_resnet20_v1": cifar_resnet20,
}
"""Name in `cold.BATCHES` -> constructor."""


COLUMNS = ("default", "Grad-CAM + guided", "Grad-CAM")
"""As `snapshot_cost.SNAPSHOTS`: default is Grad-CAM, its guided version and saliency."""


def captum_maps(net: nn.Module, layer: nn.Module, images: torch.Tensor) -> dict[str, Callable]:
    """Column -> job that makes its maps with captum."""
    from captum.attr import GuidedBackprop, LayerAttribution, LayerGradCam, Saliency

    def cam():
        with torch.no_grad():
            targets = net(images).argmax(dim=1)
        return targets, LayerGradCam(net, layer).attribute(images, targets, relu_attributions=True)

    def guided():
        targets, maps = cam()
        gradient = GuidedBackprop(net).attribute(images, targets)
        size = tuple(images.shape[2:])
        return targets, maps, gradient * LayerAttribution.interpolate(maps, size, "bilinear")

    def default():
        targets, *maps = guided()
        return *maps, Saliency(net).attribute(images, targets)

    return {"default": default, "Grad-CAM + guided": guided, "Grad-CAM": cam}


def grad_cam_maps(net: nn.Module, layer: nn.Module, images: torch.Tensor) -> dict[str, Callable]:
    """Column -> job that makes its maps with pytorch-grad-cam."""
    from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel

    def cam():
        with GradCAM(net, [layer]) as method:
            return method(images, targets=None)

    def guided():
        maps = cam()
        model = GuidedBackpropReLUModel(net)
        gradients = [model(images[place : place + 1].clone()) for place in range(len(images))]
        return maps, [gradient * one[..., None] for gradient, one in zip(gradients, maps)]

    return {"Grad-CAM + guided": guided, "Grad-CAM": cam}


TOOLS = {"captum": ("captum", captum_maps), "pytorch-grad-cam": ("grad-cam", grad_cam_maps)}
"""Tool -> its package's name, its jobs."""


def measure_net(name: str, tool: str, rounds: int, between: int) -> dict[str, float]:
    """Median seconds of "step" and of each of the tool's columns for one net of `NETS`."""
    count, size = BATCHES[name]
    torch.manual_seed(0)
    images = torch.randn(count, 3, size, size)
    net = _initialised(NETS[name](), images)
    layer = [module for module in net.modules() if isinstance(module, nn.Conv2d)][-1]
    _, make = TOOLS[tool]
    jobs = {column: _in_eval_mode(net, job) for column, job in make(net, layer, images).items()}
    return measure(_training_step(net, images), jobs, rounds, between)


def _initialised(net: nn.Module, images: torch.Tensor) -> nn.Module:
    """The net with running statistics as training would have left them: see `snapshot_cost`."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net(images)
    for norm, momentum in zip(norms, usual):
        norm.momentum = momentum
    return net


def _in_eval_mode(net: nn.Module, job: Callable) -> Callable:
    def run():
        net.eval()
        try:
            return job()
        finally:
            net.train()

    return run


def _training_step(net: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    loss = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)
    labels = torch.zeros(len(images), dtype=torch.long)

    def step():
        optimizer.zero_grad()
        loss(net(images), labels).backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure the nets named on the command line and print the table."""
    parser = options("What captum's and pytorch-grad-cam's maps cost, in training steps of torch.", NETS)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    arguments = parser.parse_args()
    versions = [f"{tool} {_version(TOOLS[tool][0])}" for tool in arguments.tools]
    print(f"torch {torch.__version__}, {', '.join(versions)}; threads: {torch.get_num_threads()}\n")
    # captum announces at each call that it sets hooks and asks for gradients
    warnings.filterwarnings("ignore", category=UserWarning, module="captum")
    print_head(["net", "images", "step, s", "tool", *(f"{column}, steps" for column in COLUMNS)])
    for name in arguments.nets:
        for tool in arguments.tools:
            seconds = measure_net(name, tool, arguments.rounds, arguments.between)
            cells = (f"{seconds[each] / seconds['step']:.2f}" if each in seconds else "—" for each in COLUMNS)
            print_row(name, seconds["step"], [tool, *cells])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise SystemExit(_missing(package)) from error


if __name__ == "__main__":
    main()
