"""The datasets that go by name, where they are published, and the checksums that prove a copy.

Addresses, sizes and SHA-256 come from TensorFlow Datasets' checksum files (github.com/tensorflow/datasets,
tensorflow_datasets/url_checksums/: mnist.txt, fashion_mnist.txt, kmnist.txt, emnist.txt, cifar10.txt, cifar100.txt).
Further mirrors: torchvision's list for MNIST, the data set's own repository and Keras's for Fashion-MNIST, and NIST's
new address for EMNIST. A mirror that serves other bytes is refused, so a mirror needs no trust.
"""

from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np

from eyespot.data.dataset import Dataset, Split
from eyespot.data.download import PublishedFiles, RemoteFile
from eyespot.data.formats.binary import parse_cifar, parse_idx_pair

DIGIT_NAMES = tuple("0123456789")
FASHION_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
KUZUSHIJI_NAMES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
DIGITS_TEST_PICTURES = 360
TORONTO = ("https://www.cs.toronto.edu/~kriz/",)
CIFAR10_BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))


@dataclass(frozen=True)
class CatalogEntry:
    """One dataset of the catalog.

    Attributes:
        title: what it shows.
        input_shape: (height, width, channels) of its images, known before they are read; so are its `classes`.
    """

    title: str
    read: Callable[[], Dataset]
    input_shape: tuple[int, int, int] = (28, 28, 1)
    classes: int = 10


def _digits() -> Dataset:
    """Return scikit-learn's digits, scaled from 0-16; a fixed fifth of the one set is the test split."""
    from sklearn.datasets import load_digits  # a second or two, which no other dataset needs
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = bunch.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=DIGITS_TEST_PICTURES, stratify=labels, random_state=0
    )
    return Dataset("digits", DIGIT_NAMES, Split(images[train], labels[train]), test=Split(images[test], labels[test]))


def _idx(files: PublishedFiles, class_names: tuple[str, ...], stems: tuple[str, str] = ("train", "t10k")) -> Dataset:
    """Read a dataset in MNIST's layout: images and labels for training and for test, in four IDX files."""
    train, test = (_idx_pair(files, stem) for stem in stems)
    return Dataset(files.name, class_names, train, test=test)


def _published(mirrors: tuple[str, ...], *files: tuple[str, int, str]) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(name, size, sha256, mirrors) for name, size, sha256 in files)


MNIST = PublishedFiles(
    "mnist",
    _published(
        ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
        ("train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        ("train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        ("t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        ("t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
)


FASHION_MNIST = PublishedFiles(
    "fashion-mnist",
    _published(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        ("train-images-idx3-ubyte.gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1-ubyte.gz", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3-ubyte.gz", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1-ubyte.gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
)


KMNIST = PublishedFiles(
    "kmnist",
    _published(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        ("train-images-idx3-ubyte.gz", 18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        ("train-labels-idx1-ubyte.gz", 29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        ("t10k-images-idx3-ubyte.gz", 3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        ("t10k-labels-idx1-ubyte.gz", 5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    ),
)


def _emnist_letters() -> Dataset:
    """Read EMNIST's letters: the images are stored transposed, and the labels count from 1."""
    stems = ("emnist-letters-train", "emnist-letters-test")
    train, test = (_idx_pair(EMNIST, stem) for stem in stems)
    upright = [Split(np.ascontiguousarray(np.swapaxes(s.images, 1, 2)), s.labels - 1) for s in (train, test)]
    return Dataset(EMNIST.name, tuple(ascii_lowercase), upright[0], test=upright[1])


def _cifar(files: PublishedFiles, train: tuple[str, ...], test: str, names: str, label_bytes: int) -> Dataset:
    """Read CIFAR's binary files; class names are in the text file beside them."""
    text, _ = files.read(names)
    class_names = tuple(line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip())
    batches = [parse_cifar(*files.read(name), label_bytes) for name in train]
    images, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return Dataset(
        files.name, class_names, Split(images, labels), test=Split(*parse_cifar(*files.read(test), label_bytes))
    )


CIFAR10 = PublishedFiles(
    "cifar10",
    _published(
        TORONTO,
        ("cifar-10-binary.tar.gz", 170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    ),
    subfolder="cifar-10-batches-bin",
)


CIFAR100 = PublishedFiles(
    "cifar100",
    _published(
        TORONTO,
        ("cifar-100-binary.tar.gz", 168513733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"),
    ),
    subfolder="cifar-100-binary",
)


CATALOG = {
    "digits": CatalogEntry("handwritten digits, 8x8, embedded (scikit-learn)", _digits, (8, 8, 1)),
    "mnist": CatalogEntry("handwritten digits", lambda: _idx(MNIST, DIGIT_NAMES)),
    "fashion-mnist": CatalogEntry("clothes", lambda: _idx(FASHION_MNIST, FASHION_NAMES)),
    "kmnist": CatalogEntry("handwritten hiragana", lambda: _idx(KMNIST, KUZUSHIJI_NAMES)),
    "emnist-letters": CatalogEntry("handwritten letters", _emnist_letters, classes=26),
    "cifar10": CatalogEntry(
        "animals and vehicles, colour",
        lambda: _cifar(CIFAR10, CIFAR10_BATCHES, "test_batch.bin", "batches.meta.txt", 1),
        (32, 32, 3),
    ),
    "cifar100": CatalogEntry(
        "a hundred kinds of thing, colour",
        lambda: _cifar(CIFAR100, ("train.bin",), "test.bin", "fine_label_names.txt", 2),
        (32, 32, 3),
        100,
    ),
}


def _idx_pair(files: PublishedFiles, stem: str) -> Split:
    return Split(*parse_idx_pair(files.read(f"{stem}-images-idx3-ubyte"), files.read(f"{stem}-labels-idx1-ubyte")))


EMNIST = PublishedFiles(
    "emnist-letters",
    _published(
        ("https://biometrics.nist.gov/cs_links/EMNIST/", "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/"),
        ("gzip.zip", 561753746, "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),
    ),
    subfolder="gzip",
)
