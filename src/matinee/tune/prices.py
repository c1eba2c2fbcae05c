"""What machines cost by the hour and how fast they are: a dated table, and files that say it better.

`PRICES` is indicative. A file for `--prices` looks like this; what it leaves out is not there:

```toml
source = "the console of my account, Ohio"
dated = "2026-11-20"

[[machine]]
name = "g6.xlarge"
price_per_hour = 0.805        # dollars, on demand
spot_price_per_hour = 0.22    # dollars, may be taken away at two minutes' notice; may be left out
core_speed = 1.0              # of one of its cores; 1: an ordinary desktop's
cores = 4
network_speed = 20            # of training a network on its GPU, in such cores; 0: it has no GPU
fits_at_once = 1

[gpu]                         # one that could be bought
name = "a card"
price = 499                   # dollars
watts = 165                   # on top of the machine's own
network_speed = 20
life_months = 36
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from matinee.core.errors import InputError, SettingsError, unknown_name

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class MachineType:
    """A machine that can be rented.

    Attributes:
        name: what its provider calls it.
        price_per_hour: dollars, on demand.
        spot_price_per_hour: dollars where it may be taken away any time; None: not known.
        cores: how many it has.
        core_speed: of one of them, 1 being that of an ordinary desktop (`Needs.cpu_s` counts its seconds).
        network_speed: how fast its GPU trains a network, in such cores; 0: it has none.
        fits_at_once: how many networks train side by side at that speed.
    """

    name: str
    price_per_hour: float
    spot_price_per_hour: float | None = None
    cores: int = 1
    core_speed: float = 1.0
    network_speed: float = 0.0
    fits_at_once: int = 1

    @property
    def least_price_per_hour(self) -> float:
        """Dollars an hour, the cheaper way."""
        spot = self.spot_price_per_hour
        return self.price_per_hour if spot is None else min(spot, self.price_per_hour)


@dataclass(frozen=True, kw_only=True)
class Card:
    """A GPU that can be bought.

    Attributes:
        name: what it is called.
        price: dollars.
        watts: what it draws on top of the machine.
        network_speed: how fast it trains a network, in cores of an ordinary desktop.
        life_months: how long it is reckoned to serve.
    """

    name: str
    price: float
    watts: float = 165.0
    network_speed: float = 20.0
    life_months: float = 36.0


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What is known of machines that are not here.

    Attributes:
        source: where the figures are from.
        dated: when they held.
        machines: what can be rented.
        gpu: what can be bought; None: nothing is known.
    """

    source: str
    dated: str
    machines: tuple[MachineType, ...]
    gpu: Card | None = None


# Speeds of GPUs are a tenth of what the bandwidth of their memory would allow by docs/gpu.md's arithmetic:
# small catalogues are held up by starting kernels. None of them was measured.
PRICES = Prices(
    source="AWS, us-east-2 (Ohio), indicative; speeds of GPUs are estimates",
    dated="2026-11",
    machines=(
        MachineType(
            name="g4dn.xlarge", price_per_hour=0.526, spot_price_per_hour=0.15, cores=4, network_speed=20.0
        ),
        MachineType(
            name="g6.xlarge", price_per_hour=0.805, spot_price_per_hour=0.22, cores=4, network_speed=20.0
        ),
        MachineType(
            name="g5.2xlarge", price_per_hour=1.21, spot_price_per_hour=0.34, cores=8, network_speed=40.0
        ),
        MachineType(
            name="g6e.xlarge", price_per_hour=1.86, spot_price_per_hour=0.57, cores=4, network_speed=60.0
        ),
        MachineType(
            name="g6.12xlarge",
            price_per_hour=4.60,
            spot_price_per_hour=1.14,
            cores=48,
            network_speed=20.0,
            fits_at_once=4,
        ),
    ),
    gpu=Card(name="a card of 288 GB/s for $499 (RTX 4060 Ti, 16 GB)", price=499.0),
)

_WORDS = {"name", "source", "dated"}
# What may be nothing at all.
_MAY_BE_NONE = {"network_speed", "watts"}


def read_prices(path: str | Path | None) -> Prices:
    """The prices of a file, or where none is named those that are built in.

    Raises:
        InputError: there is no such file, or it is no TOML.
        SettingsError: names the file, the machine and the entry that is off.
    """
    if path is None:
        return PRICES
    file = Path(path)
    told = _told(file)
    for key in told:
        if key not in ("source", "dated", "machine", "gpu"):
            raise unknown_name(f"entry of {file}", key, ("source", "dated", "machine", "gpu"))
    machines = told.get("machine", [])
    if not isinstance(machines, list) or not all(isinstance(one, dict) for one in machines):
        raise SettingsError(f"{file}: machine is no list of tables: write [[machine]] before each.")
    made = [_made(MachineType, one, f"{file}, machine {n}") for n, one in enumerate(machines, 1)]
    names = [one.name for one in made]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{file} has machine {name!r} twice: each has one entry.")
    gpu = told.get("gpu")
    if gpu is not None and not isinstance(gpu, dict):
        raise SettingsError(f"{file}: gpu is {gpu!r}: write a table [gpu] with name and price.")
    if not made and gpu is None:
        raise SettingsError(f"{file} has no machine: write [[machine]] with name and price_per_hour.")
    return Prices(
        source=str(told.get("source", file.name)),
        dated=str(told.get("dated", "undated")),
        machines=tuple(made),
        gpu=None if gpu is None else _made(Card, gpu, f"{file}, gpu"),
    )


def _told(file: Path) -> dict[str, Any]:
    """What stands in a file."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--prices {file}: it cannot be read; name a TOML file of prices.") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"--prices {file} is no TOML: {error}.") from error


def _made(cls: type[T], told: Mapping[str, Any], where: str) -> T:
    """One entry of a file, every value looked at."""
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for name, field in known.items():
        if field.default is MISSING and name not in told:
            raise SettingsError(f"{where} has no {name}: every entry needs one.")
    for key, value in told.items():
        if key not in known:
            raise unknown_name(f"entry of {where}", key, known)
        if key in _WORDS:
            if not isinstance(value, str) or not value.strip():
                raise SettingsError(f"{where}: {key} is {value!r}: expected a text.")
            continue
        least = "0 or more" if key in _MAY_BE_NONE else "above 0"
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and value < float("inf")
        if not number or not (value >= 0 if key in _MAY_BE_NONE else value > 0):
            raise SettingsError(f"{where}: {key} is {value!r}: expected a number {least}.")
        if known[key].type == "int" and value != int(value):
            raise SettingsError(f"{where}: {key} is {value!r}: expected a whole number.")
    return cls(**told)
