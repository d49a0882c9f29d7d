"""A model looks the same in every figure, and no two look alike."""

from seqbench.config.presets import preset_names
from seqbench.results.styles import COLOURS, LINES, MARKERS, MODELS, model_style


def look(label: str, among: tuple[str, ...] = ()) -> tuple[str, ...]:
    style = model_style(label, among)
    return tuple(style[key] for key in ("color", "marker", "linestyle", "fillstyle"))


def test_every_preset_has_a_style_of_its_own() -> None:
    assert set(MODELS) == set(preset_names("model"))
    assert len({look(model) for model in MODELS}) == len(MODELS)
    for colour in COLOURS:
        alike = [style for style in MODELS.values() if style[0] == colour]
        assert len({marker for _, marker, _ in alike}) == len({line for *_, line in alike}) == len(alike)
    assert all(style[1] in MARKERS and style[2] in LINES for style in MODELS.values())


def test_a_model_of_others_has_a_style_that_its_name_decides() -> None:
    assert look("mycell") == look("mycell", ("gru", "mine")) != look("mine")
    assert look("mycell")[:3] not in MODELS.values()


def test_variants_share_the_colour_and_marker_of_their_model() -> None:
    labels = tuple(f"lstm (lr=0.{k})" for k in range(1, 10))
    looks = [look(label, (*labels, "gru")) for label in labels]
    assert len(set(looks)) == len(labels)
    assert {(colour, marker) for colour, marker, *_ in looks} == {MODELS["lstm"][:2]}
    assert look("lstm (lr=0.1)") == look("lstm")
