"""Synthetic faults at known doses; a new one is a function and an entry in its family's file."""

from collections.abc import Sequence

from evals.calibration.faults.base import Fault, Faulted, Take
from evals.calibration.faults.floor import FLOORS
from evals.calibration.faults.melt import MELT_FAULTS
from evals.calibration.faults.person import PERSON_FAULTS
from evals.calibration.faults.picture import PICTURE_FAULTS
from evals.calibration.faults.seeds import BESIDE, SEED_FAULTS
from evals.calibration.faults.sound import SOUND_FAULTS
from evals.calibration.faults.words import WORD_FAULTS
from streamchar_ref.core.errors import InputError

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        *SOUND_FAULTS,
        *WORD_FAULTS,
        *PERSON_FAULTS,
        *PICTURE_FAULTS,
        *MELT_FAULTS,
        *SEED_FAULTS,
    )
}
"""Name -> fault, in the order of tables."""

__all__ = ["BESIDE", "FAULTS", "FLOORS", "Fault", "Faulted", "Take", "chosen_faults"]


def chosen_faults(names: Sequence[str], *, every_dose: bool) -> dict[str, tuple[float, ...]]:
    """Returns faults with their doses.

    Args:
        names: Of `FAULTS`; all if empty.
        every_dose: Whether to use all doses, not only ``few``.

    Returns:
        Name -> doses, lightest first.

    Raises:
        InputError: If a name is unknown.
    """
    for name in names:
        if name not in FAULTS:
            raise InputError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
    chosen: list[Fault] = [fault for fault in FAULTS.values() if not names or fault.name in names]
    return {fault.name: fault.doses if every_dose else fault.few for fault in chosen}
