"""Frozen parts by themselves; what training makes of them is in `tests/training/test_frozen_parts.py`."""

import torch
from torch import nn

from anomaly.config import Method
from anomaly.networks import Frozen, build, constrain_spectral_norm, copy_sharing_frozen, is_frozen
from tests.training.runs import network


class Lens(Frozen):
    """A convolution and a batch norm, whose statistics are those of some data."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.layers(torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
        self.freeze()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(x)
        return features


def seen_through_a_lens() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(Lens(), nn.Conv2d(4, 1, 1))


def test_it_has_no_parameters_and_its_state_keeps_its_names_and_values() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4))
    torch.manual_seed(0)
    lens = Lens()
    assert list(lens.parameters()) == []
    state = {name.removeprefix("layers."): t for name, t in lens.state_dict().items()}
    assert state.keys() == plain.state_dict().keys()
    assert all(torch.equal(state[name], p) for name, p in plain.named_parameters())


def test_it_stays_in_evaluation_mode() -> None:
    network = seen_through_a_lens().train()
    assert network.training
    assert not any(module.training for module in network[0].modules())
    before = {name: t.clone() for name, t in network[0].state_dict().items()}
    network(torch.randn(8, 1, 8, 8))
    assert all(torch.equal(t, before[name]) for name, t in network[0].state_dict().items())


def test_a_gradient_passes_through_it_and_leaves_none_in_it() -> None:
    network, x = seen_through_a_lens(), torch.randn(2, 1, 8, 8, requires_grad=True)
    network.requires_grad_(True)
    network(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert not any(t.requires_grad for t in network[0].state_dict(keep_vars=True).values())
    assert [name for name, _ in network.named_parameters()] == ["1.weight", "1.bias"]


def test_spectral_norm_does_not_bind_it() -> None:
    network = seen_through_a_lens()
    before = {name: t.clone() for name, t in network[0].state_dict().items()}
    constrain_spectral_norm(network)
    assert [name for name, module in network.named_modules() if nn.utils.parametrize.is_parametrized(module)] == ["1"]
    assert all(torch.equal(t, before[name]) for name, t in network[0].state_dict().items())


def test_copies_share_it_and_nothing_else() -> None:
    network = seen_through_a_lens()
    copied = copy_sharing_frozen(network)
    assert copied[0] is network[0]
    (own, _), (other, _) = copied.parameters(), network.parameters()
    assert own is not other
    assert torch.equal(own, other)


def test_of_each_name_in_the_state_it_is_told_whether_it_is_frozen() -> None:
    found = is_frozen(seen_through_a_lens())
    assert {name for name, frozen in found.items() if not frozen} == {"1.weight", "1.bias"}
    assert {name for name, frozen in found.items() if frozen} == {
        f"0.layers.{name}"
        for name in (
            "0.weight",
            "0.bias",
            "1.weight",
            "1.bias",
            "1.running_mean",
            "1.running_var",
            "1.num_batches_tracked",
        )
    }


def test_of_the_networks_the_memory_bank_alone_is_frozen() -> None:
    plan = network(Method.BIGAN).model_copy(update={"synthetic_defects": True, "memory_bank": 3, "rotation": True})
    frozen = {name for name, is_it in is_frozen(build(plan)).items() if is_it}
    assert frozen
    assert all(name.startswith("auxiliaries.synthetic_defects.memory_bank.") for name in frozen)
