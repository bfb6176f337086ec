"""Known faults at known doses; adding one is a function in a file of its family and a line here."""

from evals.faults.base import Fault, Faulted, Take
from evals.faults.floor import FLOORS
from evals.faults.person import PERSON_FAULTS
from evals.faults.picture import PICTURE_FAULTS
from evals.faults.sound import SOUND_FAULTS
from evals.faults.words import WORD_FAULTS

FAULTS: dict[str, Fault] = {
    fault.name: fault for fault in (*SOUND_FAULTS, *WORD_FAULTS, *PERSON_FAULTS, *PICTURE_FAULTS)
}
"""Name -> fault, in the order of tables."""

__all__ = ["FAULTS", "FLOORS", "Fault", "Faulted", "Take"]
