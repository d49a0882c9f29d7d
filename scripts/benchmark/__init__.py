"""The parts of `scripts/bench`, one file each; and what they share.

Shared: `surroundings` (the process that measures), `measure` (clocks and rounds), `models` (what is trained),
`step` (one optimisation step), `rivals`, `torch_nn` and `jax_scan` (what a user would pick instead), `tables`
(what is printed). `command` reads the command line.
"""
