"""Hostile input, kills, races and small disks, made from integer seeds.

``python -m tests.faults --inputs 2000 --seed 7`` runs that many inputs of all kinds and prints a
table with the names of those that failed. ``python -m tests.faults media-700012`` runs one input
again and prints what was done to which file, the command lines and what they said; with ``--keep
FOLDER`` its files stay there. ``--kind media`` takes one kind alone. ``--kills 60``, ``--races 30``
and ``--disks 60`` do the same for processes that are killed, that meet, and that run out of disk;
``make test-faults`` does all of it.

An input is a pure function of its name, KIND-NUMBER: `generators.KINDS` maps a kind to a function
that writes files into a working folder and returns a `trial.Trial`, the command lines to be run
there. `zygote` runs each in a process of its own with limits, `judge` says what is wrong with how
it ended.
"""
