"""What a hostile LLM might write to a page that shows it."""

from __future__ import annotations

import random

SCRIPT = "window.hacked = true"
PAYLOADS = (
    f"<script>{SCRIPT}</script>",
    f"<img src=x onerror='{SCRIPT}'>",
    f"<svg onload='{SCRIPT}'><animate onbegin='{SCRIPT}' attributeName=x dur=1s>",
    f"<svg><script>{SCRIPT}</script></svg>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={SCRIPT}&gt;'>",
    f"<math href='javascript:{SCRIPT}'>click</math>",
    f"[click](javascript:{SCRIPT})",
    f"[click](JaVaScRiPt&colon;{SCRIPT})",
    f"[click](java\nscript:{SCRIPT})",
    f"[click](\x01javascript:{SCRIPT})",
    f"[click](data:text/html;base64,PHNjcmlwdD4{SCRIPT})",
    "[click](vbscript:msgbox)",
    f'[click](https://example.org/"onmouseover="{SCRIPT})',
    f"[click](<https://example.org/> \"title' onfocus='{SCRIPT}' autofocus='\")",
    f'![image](https://example.org/track.png"onerror="{SCRIPT})',
    "![image](https://example.org/track.png)",
    f"![x](javascript:{SCRIPT})",
    f"<javascript:{SCRIPT}>",
    "<https://example.org/seen>",
    f"[ref]: javascript:{SCRIPT}\n\n[ref]",
    "[leave](#/traces) [leave](/page/api/config) [leave](//example.org)",
    f"<iframe src='javascript:{SCRIPT}'></iframe><iframe srcdoc='<script>parent.{SCRIPT}</script>'></iframe>",
    "<object data='data:text/html,x'></object><embed src='//example.org'><base href='//example.org/'>",
    "<form action='//example.org'><input name=attributes><button formaction='//example.org'>x</button></form>",
    "<style>body { display: none }</style><div style='position:fixed;inset:0;background:red'>over it all</div>",
    "<meta http-equiv=refresh content='0;url=//example.org'><link rel=stylesheet href='//example.org/x.css'>",
    "<a id=main name=main href=x>clobber</a><img name=body><form id=purify><input id=parentNode></form>",
    f"<template><script>{SCRIPT}</script></template><noscript><p title='</noscript><img src=x onerror={SCRIPT}>'>",
    f"$\\href{{javascript:{SCRIPT}}}{{x}}$ and $\\url{{javascript:{SCRIPT}}}$",
    "$\\includegraphics[height=1em]{https://example.org/x.png}$",
    f"$\\htmlStyle{{color:red}}{{x}} \\htmlId{{main}}{{x}} \\htmlData{{x={SCRIPT}}}{{y}}$",
    f"$\\text{{<img src=x onerror={SCRIPT}>}}$",
    f"$$</math><img src=x onerror={SCRIPT}>$$",
    "$\\fbox{a} \\boxed{b} \\cancel{c} \\rule{1000em}{1000em} \\colorbox{red}{x} \\raisebox{-900em}{x}$",
    "$\\def\\x{\\x\\x}\\x$ $\\newcommand{\\a}[1]{\\a{#1}\\a{#1}}\\a{1}$",
    "$\\frac{1}{$ \\( \\sqrt \\) \\[ \\begin{align} a &= \\] $$ \\left( $$ \\begin{cases}",
    f"```html\n<script>{SCRIPT}</script>\n```\n\n`<img src=x onerror={SCRIPT}>`",
    f'```" onmouseover="{SCRIPT}\n<b>unclosed',
    f"| a | b |\n|:--|--:|\n| <img src=x onerror={SCRIPT}> | [x](javascript:{SCRIPT}) |",
    f"- [ ] <input onfocus={SCRIPT} autofocus>\n- [x] done\n\n1. one\n   > <script>{SCRIPT}</script>",
    f"&lt;script&gt;{SCRIPT}&lt;/script&gt; &#60;script&#62;{SCRIPT}&#60;/script&#62;",
    "\u202egnp.exe\u202c \u2066isolated \u202dforced \u200b\u200fright",
    "Z\u0335\u0351\u0342" * 200,
    "\x00\x01\x02\x07\x0b\x1b[31mred\x7f \ufffe \U0010ffff",
    "W" * 5000,
    "#" * 500 + " heading\n" + ">" * 300 + " deep\n" + "  " * 200 + "- deep",
    "-->]]></script></style></textarea></title></xmp>",
)
PATHOLOGICAL = (
    "_a__b_" * 8_000,  # takes a Markdown reader half a minute
    "> " * 5_000 + "x",  # deeper than its stack
)


def shuffled(count: int, seed: int = 0) -> list[str]:
    """Texts made of pieces of the payloads, so that what one wall lets through meets the other in odd places."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        pieces = []
        for payload in rng.choices(PAYLOADS, k=rng.randint(2, 5)):
            begin = rng.randrange(len(payload)) if rng.random() < 0.6 else 0
            pieces.append(payload[begin : begin + rng.randint(1, 120)])
        texts.append(rng.choice(["", " ", "\n", "\n\n", "`", "$", "**", "[", "> "]).join(pieces))
    return texts
