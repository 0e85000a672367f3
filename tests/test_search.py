"""A formula is found by what it says, not by how TeX writes it."""

import pytest
from docutils import nodes

from gnlib.book.search import formulas_as_words, words


@pytest.mark.parametrize(
    ("tex", "found"),
    [
        (r"\gamma_c", "gamma γ c"),
        (r"\hat{x} = \frac{x - \mu_B}{\sqrt{\sigma^2_B + \varepsilon}}", "xhat x mu μ B sigma σ 2 B epsilon ε"),
        (r"\hat x", "xhat"),
        (r"\Sigma", "Sigma Σ"),
        (r"(N, C)", "N C"),
    ],
)
def test_a_formula_is_found_by_names_and_signs(tex: str, found: str) -> None:
    assert words(tex) == found


def test_a_text_is_indexed_by_its_words_and_stays_what_it_was() -> None:
    text = nodes.paragraph("", "See ", nodes.math("", r"\beta"))
    with formulas_as_words(text):
        assert text.astext() == "See beta β"
    assert text.astext() == r"See \beta"
