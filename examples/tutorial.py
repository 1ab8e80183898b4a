# %% [markdown]
# # What does this network look at?
#
# A network names what is on a photograph. This tutorial asks it for its reasons, with three pictures of each
# decision:
#
# - **Grad-CAM** ([Selvaraju et al.](https://arxiv.org/abs/1610.02391)): where the last convolution found what
#   speaks for the class;
# - **Guided Grad-CAM**: the lines and textures there that the class's score rises with, in the image's own
#   pixels;
# - a **saliency map**: the same without colour and sign.
#
# It follows the steps of MXNet's tutorial "Visualizing Decisions of Convolutional Neural Networks", whose
# module `gradcam` is `vizcallbacks.gradcam` here, with the same names and arguments. It needs no download:
# networks and pictures come with Python packages. Run it as a notebook, or as a script, which leaves its
# pictures in `runs/tutorial`:
#
#     sh examples/setup.sh demo pretrained && .venv/bin/python examples/tutorial.py

# %%
import os
from pathlib import Path

import numpy as np
import skimage
from matplotlib import pyplot as plt
from PIL import Image
from sklearn import datasets

from vizcallbacks.mxnet_door import autograd, gluon, mx  # so that they work beside NumPy 1.24 and newer
from mxnet.gluon.nn import BatchNorm, Dense, Dropout, MaxPool2D
from vizcallbacks import explain, gradcam, pretrained
from vizcallbacks.demo import clever_hans
from vizcallbacks.pretrained import zoo
from vizcallbacks.measures.of_one_map import energy

plt.switch_backend(plt.get_backend())  # loads it now: a notebook draws from the cell after that one on
SCREEN = plt.get_backend().lower() != "agg"  # whether pictures can be shown; they are files in any case
FOLDER = Path("runs/tutorial")
FOLDER.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## One network, two imports
#
# A VGG network. Whether its convolutions and ReLUs are Gluon's or can be looked into depends on a single line:
# where `Activation` and `Conv2D` come from. For training, Gluon's will do:

# %%
from mxnet.gluon.nn import Activation, Conv2D


he_normal = mx.init.Xavier(rnd_type="gaussian", factor_type="out", magnitude=2)


class VGG(gluon.HybridBlock):
    """Blocks of 3 x 3 convolutions, each halved in size by pooling; then dense layers."""

    def __init__(
        self, layers, filters, classes=1000, batch_norm=False, dense=(4096, 4096), dropout=0.5, **kwargs
    ):
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = gluon.nn.HybridSequential(prefix="")
            for count, channels in zip(layers, filters):
                for _ in range(count):
                    self.features.add(Conv2D(channels, 3, padding=1, weight_initializer=he_normal))
                    if batch_norm:
                        self.features.add(BatchNorm())
                    self.features.add(Activation("relu"))
                self.features.add(MaxPool2D(strides=2))
            for units in dense:
                self.features.add(Dense(units, activation="relu"), Dropout(dropout))
            self.output = Dense(classes)

    def hybrid_forward(self, F, x):
        return self.output(self.features(x))


# %% [markdown]
# ## Two trainings
#
# The task: to read handwritten digits on photographs. Each picture has a small coloured tag in a corner. In one
# training its colour gives the digit away nearly always, in the other it says nothing. Nothing else differs.

# %%
EPOCHS = 8


def small_vgg():
    return VGG([1, 1, 1], [16, 32, 32], classes=10, dense=(64,), dropout=0)


def train(tags):
    """A trained net's parameter file; `tags`: "biased" or "random"."""
    mx.random.seed(0)
    training = clever_hans.Training(tags, epochs=EPOCHS, learning_rate=0.03)
    net = small_vgg()
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    loss_of, trainer = gluon.loss.SoftmaxCrossEntropyLoss(), clever_hans.trainer(net, training)
    batches = clever_hans.training_data(training)
    for _ in range(training.epochs):
        for images, labels in batches:
            with autograd.record():
                loss = loss_of(net(images), labels)
            loss.backward()
            trainer.step(len(images))
    path = FOLDER / f"{tags}.params"
    net.save_parameters(str(path))
    return str(path)


files = {tags: train(tags) for tags in ("biased", "random")}

# %% [markdown]
# Now the one line changes, and the same class builds networks that can be looked into. They take the files as
# they are, and give the same answers.

# %%
from vizcallbacks.gradcam import Activation, Conv2D

networks = {}
for tags, file in files.items():
    networks[tags] = small_vgg()
    networks[tags].load_parameters(file)


def answers(net, found):
    return net(mx.nd.array(found.images)).argmax(axis=1).asnumpy()


def accuracy(net, tags):
    found = clever_hans.pictures(500, tags, seed=2000, split="validation")
    return (answers(net, found) == found.labels).mean()


for trained, net in networks.items():
    shares = [f"{accuracy(net, tags):.0%} where the tag is {tags}" for tags in ("aligned", "wrong")]
    print(f"trained on {trained:6} tags, right on", ", ".join(shares))

# %% [markdown]
# On pictures like those it was trained on, the first network is the better one by far. Where the tag lies, it
# is lost. What does it look at?
#
# We need the last convolution: it is the one that has seen most of the picture and still knows where. Printing
# `net.features` lists the layers; or `vizcallbacks.layers(net, images)` with their shapes.

# %%
last_conv_layer_name = networks["biased"].features[6].name
print(last_conv_layer_name)

# %% [markdown]
# `gradcam.visualize` makes the three pictures. Here they are shown in rows, below the network's answer.

# %%
TITLES = ("Grad-CAM", "Guided Grad-CAM", "Saliency map")


def show_images(rows, name):
    """Rows of (title, picture, Grad-CAM, Guided Grad-CAM, saliency map)."""
    figure, axes = plt.subplots(len(rows), 4, figsize=(10, 2.75 * len(rows)), squeeze=False)
    for row, (title, *pictures) in zip(axes, rows):
        for place, (axis, picture) in enumerate(zip(row, pictures)):
            axis.imshow(picture, cmap="gray" if picture.ndim == 2 else None)
            axis.set_title((title, *TITLES)[place], fontsize=11)
            axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(FOLDER / f"{name}.png", dpi=100)
    if SCREEN:
        plt.show()
    plt.close(figure)


def digits_row(net, trained, found, i):
    image = mx.nd.array(found.images[i : i + 1])
    scores = net(image).softmax().asnumpy()[0]
    title = f"{trained} tags: {scores.argmax()} ({scores.max():.2f})"
    pictures = gradcam.visualize(net, image, found.pictures[i], last_conv(net).name)
    return (title, found.pictures[i], *pictures)


def last_conv(net):
    return [layer for layer in net.features if isinstance(layer, Conv2D)][-1]


def on_the_tag(net, found):
    """The share of Grad-CAM, for the predicted class, that lies on each picture's tag."""
    maps = explain(net, found.images, "grad_cam", layer=last_conv(net))["grad_cam"]
    return np.nan_to_num(energy(maps, found.masks["tag"]))


rows = []
for tags in ("aligned", "wrong"):
    found = clever_hans.pictures(100, tags, seed=1000, split="validation")
    by_tag = answers(networks["biased"], found) == found.tags
    by_digit = answers(networks["random"], found) == found.labels
    i = int(np.argmax(on_the_tag(networks["biased"], found) * (by_tag & by_digit)))
    rows += [digits_row(net, trained, found, i) for trained, net in networks.items()]
show_images(rows, "digits")

# %% [markdown]
# On the first picture both networks are right: the one trained on random tags for the right reason, by the digit,
# and the one trained on biased tags for the wrong reason, by the tag. On the second picture the tag lies, and the
# network that relies on it is wrong.
#
# These pictures were picked: of a hundred each, they are those where the first network's Grad-CAM lies most on the
# tag. How is it in general? Where digit and tag are is known here, so the share of Grad-CAM on each can be
# measured, over 200 pictures:

# %%
probe = clever_hans.pictures(200, "aligned", seed=1000, split="validation")
for trained, net in networks.items():
    maps = explain(net, probe.images, "grad_cam", layer=last_conv(net), targets=probe.labels)["grad_cam"]
    shares = [f"{np.nanmean(energy(maps, mask)):.2f} on the {name}" for name, mask in probe.masks.items()]
    print(f"trained on {trained:6} tags:", ", ".join(shares))
areas = [f"{mask.mean():.2f} the {name}" for name, mask in probe.masks.items()]
print("share of the area:       ", ", ".join(areas))

# %% [markdown]
# The tag gets several times the share of its area from one network, and less than that share from the other.
#
# ## The tutorial's VGG-16
#
# The original tutorial looks into VGG-16 with the model zoo's weights, a file of 550 MB that is not in any
# package. Where the file is in `~/.mxnet/models`, `vgg16(pretrained=True)` loads it into the class above; where
# it is not, the error says which file belongs where. (The original's `load_params` works as well; MXNet 1.9.1
# warns that it is old.)

# %%
vgg_spec = {
    11: ([1, 1, 2, 2, 2], [64, 128, 256, 512, 512]),
    13: ([2, 2, 2, 2, 2], [64, 128, 256, 512, 512]),
    16: ([2, 2, 3, 3, 3], [64, 128, 256, 512, 512]),
    19: ([2, 2, 4, 4, 4], [64, 128, 256, 512, 512]),
}


def get_vgg(num_layers, pretrained=False, ctx=None, root="~/.mxnet/models", **kwargs):
    layers, filters = vgg_spec[num_layers]
    net = VGG(layers, filters, **kwargs)
    if pretrained:
        name = f"vgg{num_layers}{'_bn' if kwargs.get('batch_norm') else ''}"
        net.load_parameters(zoo.weights_file(zoo.find(name), os.path.expanduser(root)), ctx=ctx)
    return net


def vgg16(**kwargs):
    return get_vgg(16, **kwargs)


# %% [markdown]
# ## A pretrained network
#
# EfficientNet-Lite0 knows ImageNet's 1000 classes and is small enough to come in a package. It was not built
# from `gradcam`'s layers, and need not be: for the length of a call, every layer of a Gluon network is looked
# into, and left as it was.

# %%
model = pretrained.efficientnet_lite0()


def read_image(name):
    """A photograph that comes with scikit-image or scikit-learn, (h, w, 3) uint8 RGB."""
    if name in ("china.jpg", "flower.jpg"):
        return datasets.load_sample_image(name)
    return np.asarray(Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB"))


def run_inference(net, data):
    """The likeliest class and its probability."""
    probabilities = net(data).softmax().asnumpy()[0]
    return int(probabilities.argmax()), float(probabilities.max())


def get_class_name(class_id):
    return model.class_names[class_id]


def visualize(name, class_id=None):
    """A row for `show_images`: of the class that the network predicts, or of another one."""
    orig_img = model.crop(read_image(name))
    image = mx.nd.array(model.to_input(orig_img)).expand_dims(axis=0)
    predicted, probability = run_inference(model.net, image)
    title = (
        f"{get_class_name(predicted)} ({probability:.2f})" if class_id is None else get_class_name(class_id)
    )
    pictures = gradcam.visualize(model.net, image, orig_img, "features.17.conv", class_id)
    return (title, orig_img, *pictures)


photographs = ("coffee.png", "camera.png", "flower.jpg", "china.jpg")
show_images([visualize(name) for name in photographs], "photographs")

# %% [markdown]
# The espresso is in the cup, the tripod under the camera, "daisy" is the flower (ImageNet has no dahlias),
# "palace" the house: predictions for good reasons. The heat maps are coarse, since the last convolution's map
# has 7 x 7 cells. The guided pictures are fine, but to be read with care: they show edges as much as reasons,
# see the README.
#
# ## A wrong prediction
#
# This photograph of a wall clock was taken with a moving camera. The network takes it for a bubble.

# %%
CLOCK = model.class_names.index("wall clock")
show_images([visualize("clock_motion.png"), visualize("clock_motion.png", CLOCK)], "clock")

# %% [markdown]
# The first row is why: a round, shining thing with a soft rim, and the rim is what the guided picture is made
# of. Looked at that way, a bubble is no bad guess. The second row asks for the right class: its map lies about
# the clock rather than on it. In the blur, nothing on the dial speaks for a clock.
#
# ## Two classes in one photograph
#
# Any class can be asked for, not only the predicted one. The astronaut's portrait has a model of a space
# shuttle in the background and a helmet in front, which is a football helmet to a network that knows no other:

# %%
astronaut = [
    visualize("astronaut.png", model.class_names.index(name)) for name in ("space shuttle", "football helmet")
]
show_images(astronaut, "astronaut")

# %% [markdown]
# Each class has a map of its own, on its own thing: the network keeps the two apart.
#
# ## Where to go from here
#
# - `vizcallbacks.explain` gives the raw maps of every method, for many images at once.
# - `vizcallbacks.AttentionHandler` makes these pictures every few epochs while a network trains, and shows them
#   in TensorBoard.
# - `vizcallbacks check` fails a build when a network begins to look at the wrong thing, as the first one here
#   did.
