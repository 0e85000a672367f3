"""What a glance at a link shows, from pages as Sphinx writes them."""

import json

import pytest

from gnlib.book import glances

PAGE = """<article>
<section class="tex2jax_ignore mathjax_ignore" id="a-title">
<span id="label"></span><h1>A <em>title</em><a class="headerlink" href="#a-title">#</a></h1>
<p>First, <a class="reference internal" href="other.html#there"><span class="std">there</span></a>.</p><p>Second.</p>
<dl class="glossary"><dt id="term-cell">cell<a class="headerlink" href="#term-cell">#</a></dt><dd><p>One.</p><p>Two.</p>
</dd><dt id="term-block">block</dt><dd><p>Three.</p></dd></dl>
<dl class="py function"><dt class="sig sig-object py" id="gnlib.pool"><span>pool</span>(x)</dt>
<dd><p>Join them.</p><p>More.</p></dd></dl>
<div class="citation" id="id7" role="listitem"><span class="label"><span class="fn-bracket">[</span>WH18</span>
<p>Wu and He. <a class="reference external" href="https://arxiv.org/abs/1">here</a></p></div>
<aside class="footnote brackets" id="note" role="doc-footnote"><span class="label">1</span>
<p>A note.</p></aside>
<div class="math notranslate nohighlight" id="equation-one"><span class="eqno">(1)</span><div>x</div></div>
<figure class="align-default" id="fig-one"><img alt="" src="x.png"/><figcaption><p>Fig. 1</p></figcaption></figure>
</section></article>"""


@pytest.mark.parametrize(
    ("anchor", "kind", "text"),
    [
        ("label", "section", '<p><strong>A <em>title</em></strong></p><p>First, <span class="std">there</span>.</p>'),
        ("a-title", "section", '<p><strong>A <em>title</em></strong></p><p>First, <span class="std">there</span>.</p>'),
        ("term-cell", "term", "<p><strong>cell</strong></p><p>One.</p><p>Two.</p>"),
        ("gnlib.pool", "name", "<p><code><span>pool</span>(x)</code></p><p>Join them.</p>"),
        ("id7", "work", "<p>Wu and He. here</p>"),
        ("note", "note", "<p>A note.</p>"),
        ("equation-one", "formula", '<span class="eqno">(1)</span><div>x</div>'),
        ("fig-one", "figure", "<p>Fig. 1</p>"),
    ],
)
def test_a_glance_holds_what_the_link_leads_to_without_links_and_anchors(anchor: str, kind: str, text: str) -> None:
    assert glances.glance(PAGE, anchor) == (kind, text)


def test_an_anchor_that_is_not_there_has_no_glance() -> None:
    assert glances.glance(PAGE, "gone") is None


def test_the_script_holds_each_target_of_a_link_in_an_article_once_and_no_other() -> None:
    other = '<nav><a class="reference internal" href="a.html#note">no</a></nav><article><section id="there">'
    other += '<h2>There</h2><p><a class="reference internal" href="../b/a.html#term-cell">c</a>'
    other += '<a class="reference internal" href="a.html#term-cell">c</a></p></section></article>'
    pages = {"b/a.html": PAGE, "b/other.html": other}
    script = glances.script(glances.collect(pages))
    held = json.loads(script.removeprefix("gnGlances(").removesuffix(");\n"))
    kinds = {key: kind for key, (kind, _) in held.items()}
    assert kinds == {"b/a.html#term-cell": "term", "b/other.html#there": "section"}


def test_a_page_names_on_paper_the_works_that_it_cites_once_each_and_again_after_a_second_build() -> None:
    link = '<a class="reference internal" href="a.html#id7">Wu and He</a>'
    page = f"<article><p>{link}, {link}</p></article>"
    found = glances.collect({"b/a.html": PAGE, "b/page.html": page})
    printed = glances.with_works(page, "b/page.html", found)
    assert printed.count("<p>Wu and He. here</p>") == 1
    assert glances.with_works(printed, "b/page.html", found) == printed
    nothing = "<article><p>Text.</p></article>"
    assert glances.with_works(nothing, "b/page.html", found) == nothing
