import numpy as np
import pytest
import torch

from anomaly.config import Method, NetworkConfig
from anomaly.networks import Networks, build
from anomaly.networks.patches import doubt
from anomaly.runtime import to_float
from anomaly.training import memory, remember
from tests.training.runs import CPU, digits, network

TRAIN, SELECT = np.arange(40), np.arange(40, 60)


def networks() -> Networks:
    torch.manual_seed(0)
    config = network(Method.BIGAN).model_copy(update={"patch_discriminator": True})
    return build(config).eval()


def strangest(of: Networks, pixels: np.ndarray) -> list[float]:
    assert of.D_patch is not None
    with torch.no_grad():
        return of.strangeness(of.D_patch(to_float(torch.from_numpy(pixels)))).amax(dim=(1, 2)).tolist()


def test_it_remembers_the_images_that_trained_and_settles_on_those_that_select() -> None:
    knowing = networks()
    remember(knowing, digits(60), TRAIN, SELECT, CPU)
    assert knowing.config.num_remembered == 40
    assert knowing.memory is not None
    assert knowing.D_patch is not None
    with torch.no_grad():
        judged = knowing.D_patch(to_float(torch.from_numpy(digits(60)[SELECT])))
        torch.testing.assert_close(knowing.memory.mean, knowing.memory.evidence(judged).mean(dim=0))  # one place only
    assert np.mean(strangest(knowing, digits(40))) < np.mean(strangest(knowing, digits(60)[40:]))
    noise = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8), dtype=np.uint8)
    assert min(strangest(knowing, noise)) > np.median(strangest(knowing, digits(60)[40:]))


def test_it_is_saved_with_the_weights_and_loads_again() -> None:
    knowing = networks()
    remember(knowing, digits(60), TRAIN, SELECT, CPU)
    loaded = Networks(knowing.config).eval()
    loaded.load_state_dict(knowing.state_dict())
    assert strangest(loaded, digits(8)) == strangest(knowing, digits(8))


def test_of_too_many_images_it_remembers_some_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_REMEMBERED", 3)
    few, same = networks(), networks()
    remember(few, digits(60), TRAIN, SELECT, CPU)
    remember(same, digits(60), np.array([0, 20, 39]), SELECT, CPU)
    assert few.config.num_remembered == 3
    assert strangest(few, digits(60)) == strangest(same, digits(60))


def test_without_a_memory_a_place_is_as_strange_as_it_is_doubted() -> None:
    plain, x = networks(), to_float(torch.from_numpy(digits(8)))
    assert plain.D_patch is not None
    with torch.no_grad():
        torch.testing.assert_close(plain.strangeness(plain.D_patch(x)), doubt(plain.D_patch(x).logits))
        assert plain.doubt_and_novelty(plain.D_patch(x))[1] is None


def test_images_are_remembered_in_the_features_of_a_patch_discriminator_only() -> None:
    with pytest.raises(ValueError, match="remembered in the features of a patch discriminator"):
        NetworkConfig.model_validate({"num_remembered": 5})
