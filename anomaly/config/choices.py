"""What a user may choose from, by the words that files, options and manifests use."""

from enum import StrEnum


class Method(StrEnum):
    """What is learnt, and how the latent of an image is found. FEATURES has no latent.

    AUTOENCODER has no game: E and G learn to reconstruct. ANOGAN is a GAN whose latents are searched. F_ANOGAN is a GAN
    first, then an encoder learns. BIGAN's game is on pairs (x, z). ALAD is a BIGAN with two more discriminators, of
    cycles. FEATURES has no G of images: it learns from the maps of a pretrained network.
    """

    BIGAN = "bigan"
    ANOGAN = "anogan"
    F_ANOGAN = "f-anogan"
    ALAD = "alad"
    AUTOENCODER = "autoencoder"
    FEATURES = "features"


class Architecture(StrEnum):
    """DCGAN: convolutions throughout. MLP: fully connected layers. LENET: a LeNet-5 as D beside DCGAN's G."""

    DCGAN = "dcgan"
    MLP = "mlp"
    LENET = "lenet"


class Loss(StrEnum):
    """What D and G optimise. In the first two D gives probabilities, in the last two it is a critic without bounds."""

    MINIMAX = "minimax"
    NON_SATURATING = "non-saturating"
    WASSERSTEIN = "wasserstein"
    HINGE = "hinge"

    @property
    def has_critic(self) -> bool:
        """Whether D's output is no logit of a probability."""
        return self in (Loss.WASSERSTEIN, Loss.HINGE)


class Prior(StrEnum):
    """What z is drawn from: N(0, 1), or uniform in [-1, 1], in each dimension."""

    GAUSSIAN = "gaussian"
    UNIFORM = "uniform"


class Precision(StrEnum):
    """What networks compute in: FP32 is IEEE's, BF16 has its range with 8 instead of 24 bits, and half its cost."""

    FP32 = "fp32"
    BF16 = "bf16"


class Resize(StrEnum):
    """How an image of another shape becomes a square; with WHOLE it keeps its shape.

    PAD keeps all of the image and its aspect ratio, and repeats its edge pixels to fill the square.
    CROP keeps the aspect ratio and the middle of the image. STRETCH keeps all of the image and squashes it. WHOLE
    keeps all of the image and its shape: its sides are only rounded up to multiples of 16, by repeating edge pixels.
    """

    PAD = "pad"
    CROP = "crop"
    STRETCH = "stretch"
    WHOLE = "whole"


class Place(StrEnum):
    """Which remembered places a place of an image is compared with: ANYWHERE, those NEAR it, or the SAME place.

    ALIGNED is for pictures of one object in one pose: shift and turn are measured first, and a place is compared with
    mean and deviation of the same point of the object.
    """

    ANYWHERE = "anywhere"
    NEAR = "near"
    SAME = "same"
    ALIGNED = "aligned"
