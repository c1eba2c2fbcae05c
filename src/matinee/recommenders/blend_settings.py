"""The settings of `blend`, and who may join it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from matinee.core.errors import SettingsError, unknown_name
from matinee.core.settings import config_values, make_config
from matinee.recommenders.ials import Ials, IalsConfig
from matinee.recommenders.network_settings import SequentialConfig
from matinee.recommenders.transitions import Transitions, TransitionsConfig

# Who may join, what its score cannot tell from nothing, and the weights that are tried.
PARTNERS: Mapping[str, tuple[type[Any], float, tuple[float, ...]]] = {
    # Where a network has learnt little (few passes, a large catalogue), it may count for a 24th of it.
    "transitions": (Transitions, 2e-4, (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 6.0, 12.0, 24.0)),
    "ials": (Ials, 1e-2, (0.0, 0.25, 0.5, 0.75, 1.0)),
}


@dataclass(frozen=True, kw_only=True)
class BlendConfig:
    """Settings of `blend`; those of a part are written like `sequential.width`.

    Attributes:
        partners: what joins the network: transitions, ials, both or none.
        weights: how much each partner counts beside the network, in their order; none: chosen on events
            held back from the fit.
        sequential: settings of the network.
        transitions: settings of the partner of that name.
        ials: settings of the partner of that name; by default small, and with no decay: what a viewer likes
            at all is what the others leave to be said.
        sums: keep the sums that `transitions` was solved from, so that new events take half its time; a
            bundle is larger by them (MovieLens-1M: 100 MB beside 40).
    """

    partners: tuple[str, ...] = ("transitions", "ials")
    weights: tuple[float, ...] = ()
    sequential: SequentialConfig = field(default_factory=SequentialConfig)
    transitions: TransitionsConfig = field(default_factory=TransitionsConfig)
    ials: IalsConfig = field(default_factory=lambda: IalsConfig(factors=32, epochs=5, decay=1.0))
    sums: bool = True

    def __post_init__(self) -> None:
        """Refuse partners that nobody knows, and weights that are not theirs."""
        unknown = [name for name in self.partners if name not in PARTNERS]
        if unknown:
            raise unknown_name("partner of blend", unknown[0], PARTNERS)
        if len(set(self.partners)) < len(self.partners):
            known = " and ".join(PARTNERS)
            raise SettingsError(
                f"blend joins each of {known} once at most, found {', '.join(self.partners)}."
            )
        if self.weights and len(self.weights) != len(self.partners):
            raise SettingsError(
                f"blend needs {len(self.partners)} weights, one a partner, found {len(self.weights)}."
            )
        if any(weight < 0.0 for weight in self.weights):
            raise SettingsError(f"blend needs weights of at least 0, found {self.weights}.")


def _refuse_bare(key: str, classes: Mapping[str, type[Any]]) -> None:
    """Refuse a setting of a part that stands without the part's name."""
    if key in {field.name for field in fields(BlendConfig)}:
        return
    owners = [name for name, cls in classes.items() if key in {field.name for field in fields(cls)}]
    if owners:
        near = " or ".join(repr(f"{name}.{key}") for name in owners)
        raise SettingsError(f"Unknown setting of blend {key!r}: did you mean {near}?")


def config_of(settings: Mapping[str, Any]) -> BlendConfig:
    """The config from settings whose keys may name a part's own."""
    classes: dict[str, type[Any]] = {"sequential": SequentialConfig}
    classes |= {name: maker.Config for name, (maker, _, _) in PARTNERS.items()}
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {name: {} for name in classes}
    for key, value in settings.items():
        part, dot, rest = key.partition(".")
        _refuse_bare(key, classes)
        if part in inner and dot:
            inner[part][rest] = value
        elif part in inner and isinstance(value, Mapping):
            inner[part] |= value
        elif part in inner and not isinstance(value, classes[part]):
            raise SettingsError(f"Settings of a part are written like {part}.KEY=VALUE, found {key}={value}.")
        else:
            own[key] = value
    if own.get("partners") in ("", "none"):
        own["partners"] = ()
    usual = config_values(BlendConfig())
    made = {
        name: make_config(cls, usual[name] | inner[name], f"blend.{name}") for name, cls in classes.items()
    }
    return make_config(BlendConfig, made | own, "blend")
