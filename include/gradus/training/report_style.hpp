// training/report_style.hpp   The style sheet of report.html.
// One typeface, two colours that people with any colour vision tell apart (blue and vermilion of Okabe & Ito 2008,
// "Color universal design"), and their light twins for a dark screen. Everything else is a shade of grey.
#pragma once

#include "gradus/core/abi.hpp"

namespace gradus::inline GRADUS_ABI {

inline const char* report_style() {
    return R"css(
:root {
    color-scheme: light dark;
    --paper: #fff; --ink: #1d1f22; --quiet: #6a6f76; --hair: #e4e6e9; --axis: #b4b9bf;
    --blue: #0072b2; --orange: #d55e00;
}
@media (prefers-color-scheme: dark) {
    :root {
        --paper: #16181b; --ink: #e6e8ea; --quiet: #979da5; --hair: #2b2f34; --axis: #565c63;
        --blue: #56b4e9; --orange: #f0935a;
    }
}
* { box-sizing: border-box; }
body {
    margin: 0 auto; padding: 3.5rem 1.5rem 5rem; max-width: 62rem;
    background: var(--paper); color: var(--ink);
    font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
    font-variant-numeric: tabular-nums;
}
h1 { margin: 0 0 2rem; font-size: 1.75rem; font-weight: 600; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 0 0 .25rem; font-size: 1.05rem; font-weight: 600; }
h2 + p { margin: 0 0 1rem; color: var(--quiet); }
section { margin-top: 3.25rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1.25rem 3.25rem; margin: 0; }
.figures div { display: flex; flex-direction: column-reverse; }
.figures dd { margin: 0; font-size: 1.75rem; font-weight: 600; line-height: 1.2; }
.figures dt { color: var(--quiet); }
.figures .first dd { color: var(--orange); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 3.25rem 2.5rem; }
.columns > section { margin-top: 0; min-width: 0; }
.columns { margin-top: 3.25rem; }
svg { display: block; font-family: inherit; }
svg text { fill: var(--ink); }
.chart { width: 100%; max-width: 34rem; height: auto; overflow: visible; font-size: 12.5px; }
.axis { stroke: var(--axis); fill: none; shape-rendering: crispEdges; }
.grid { stroke: var(--hair); fill: none; shape-rendering: crispEdges; }
svg .tick { fill: var(--quiet); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.train, .line.rate { stroke: var(--blue); }
.line.test { stroke: var(--orange); }
.label { font-weight: 600; }
svg .label.train, svg .label.rate { fill: var(--blue); }
svg .label.test { fill: var(--orange); }
.note { fill: transparent; }
.note:hover { fill: var(--ink); fill-opacity: .06; }
.scroll { overflow-x: auto; padding-bottom: .5rem; }
.confusion { max-width: none; }
.wide { width: min(100vw - 3rem, 92rem); position: relative; left: 50%; transform: translateX(-50%); }
.wide > h2, .wide > p { max-width: 59rem; margin-left: auto; margin-right: auto; }
.wide .confusion { margin: 0 auto; }
.right { fill: var(--blue); }
.wrong { fill: var(--orange); }
.count { text-anchor: middle; }
svg .count.deep { fill: var(--paper); }
@media (prefers-color-scheme: dark) { svg .count.strong { fill: var(--paper); } }
.dot.train, .dot.rate { fill: var(--blue); }
.dot.test { fill: var(--orange); }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .35rem 0; border-bottom: 1px solid var(--hair); text-align: left; vertical-align: top; }
th { font-weight: 400; }
th { color: var(--quiet); padding-right: 1.5rem; }
td { overflow-wrap: anywhere; }
.numbers td, .numbers th { text-align: right; padding-left: .75rem; padding-right: 0; white-space: nowrap; }
.numbers td:first-child, .numbers th:first-child { padding-left: 0; }
.pairs td:last-child { text-align: right; white-space: nowrap; padding-left: 1rem; }
.quiet { color: var(--quiet); }
summary { cursor: pointer; font-size: 1.05rem; font-weight: 600; }
details .scroll { margin-top: .75rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.25rem, 1fr)); gap: 1.5rem 1.25rem; }
.pictures figure { margin: 0; min-width: 0; }
.pictures img { width: 100%; }
.pictures figcaption { margin-top: .35rem; font-size: .85rem; line-height: 1.35; overflow-wrap: anywhere; }
.pictures b { font-weight: 600; color: var(--orange); }
.filters { display: flex; flex-wrap: wrap; gap: .6rem; }
.filters img { width: 3rem; }
img { display: block; height: auto; image-rendering: pixelated; border-radius: 2px; }
footer { margin-top: 3.5rem; color: var(--quiet); }
@media print { body { max-width: none; padding: 0; } section { break-inside: avoid; } }
)css";
}

}  // namespace gradus::inline GRADUS_ABI
