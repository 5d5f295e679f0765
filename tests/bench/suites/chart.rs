//! The picture: what each filter adds to a request, a bar for each, in groups by case.

use std::fmt::Write;

use super::filters::{EMPTY, EMPTY_REPLY, JWT_AUTHN_CACHED, STRIPPING};
use crate::lane::Lane;
use crate::machine::Machine;
use crate::run::CaseTurns;

const WIDTH: usize = 880;
const LABELS: usize = 190;
const BARS: f64 = 600.0;
const BAR: usize = 11;
const ROW: usize = 14;
const GROUP: usize = 10;
const TOP: usize = 84;

/// Colours that can be told apart on light and on dark ground, also by those who see no red or no green.
const STYLE: &str = "
    text { font: 12px system-ui, sans-serif; fill: #24292f }
    .title { font-size: 16px; font-weight: 600 }
    .small { font-size: 10px; fill: #57606a }
    .case { text-anchor: end }
    .axis { stroke: #d0d7de }
    .spread { stroke: #24292f; stroke-opacity: .55 }
    .empty { fill: #9aa4af }
    .stripping { fill: #6e7781 }
    .native { fill: #d98c00 }
    .cached { fill: #f2c46d }
    .ours { fill: #2f6fde }
    @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3 }
        .small { fill: #8d96a0 }
        .axis { stroke: #3d444d }
        .spread { stroke: #e6edf3 }
        .ours { fill: #539bf5 }
    }
";

/// The picture as SVG.
pub fn svg(outcome: &[CaseTurns], machine: &Machine) -> String {
    let scale = BARS / longest(outcome);
    let mut body = String::new();
    let mut y = TOP;
    for turns in outcome {
        let lanes: Vec<Lane> = turns.lanes.iter().copied().filter(|lane| *lane != Lane::NONE).collect();
        let middle = y + lanes.len() * ROW / 2 + 3;
        writeln!(body, r#"<text class="case" x="{}" y="{middle}">{}</text>"#, LABELS - 10, turns.case).unwrap();
        for lane in lanes {
            body += &bar(turns, lane, y, scale);
            y += ROW;
        }
        y += GROUP;
    }
    let height = y + 8;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">CPU time that each filter adds to a request in Envoy</title>\n\
         <style>{STYLE}</style>\n\
         <text class=\"title\" x=\"10\" y=\"24\">CPU time that a filter adds to a request in Envoy (µs, less is better)</text>\n\
         <text class=\"small\" x=\"10\" y=\"42\">{}</text>\n\
         {}<line class=\"axis\" x1=\"{LABELS}\" x2=\"{LABELS}\" y1=\"{}\" y2=\"{}\"/>\n\
         {body}</svg>\n",
        escaped(&machine.line()),
        legend(),
        TOP - 4,
        y - GROUP + 2,
    )
}

fn longest(outcome: &[CaseTurns]) -> f64 {
    let costs = outcome.iter().flat_map(|turns| turns.lanes.iter().map(|lane| turns.added(*lane).high));
    costs.fold(1.0, f64::max)
}

fn bar(turns: &CaseTurns, lane: Lane, y: usize, scale: f64) -> String {
    let added = turns.added(lane);
    let at = |value: f64| LABELS as f64 + value.max(0.0) * scale;
    let middle = y as f64 + BAR as f64 / 2.0;
    format!(
        "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\"/>\
         <line class=\"spread\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\
         <text class=\"small\" x=\"{label:.1}\" y=\"{base}\">{value:.1}</text>\n",
        class = class(lane),
        width = added.value.max(0.0) * scale,
        low = at(added.low),
        high = at(added.high),
        label = at(added.high) + 5.0,
        base = y + BAR - 2,
        value = added.value,
    )
}

fn legend() -> String {
    let mut text = String::new();
    let mut x = 10;
    for lane in [EMPTY, STRIPPING, Lane::JWT_AUTHN, JWT_AUTHN_CACHED, Lane::FILTER] {
        let (class, name) = (class(lane), lane.0);
        writeln!(
            text,
            r#"<rect class="{class}" x="{x}" y="57" width="11" height="11"/><text x="{}" y="67">{name}</text>"#,
            x + 16
        )
        .unwrap();
        x += 40 + name.len() * 7;
    }
    text
}

fn class(lane: Lane) -> &'static str {
    match lane {
        Lane::NONE | EMPTY | EMPTY_REPLY => "empty",
        STRIPPING => "stripping",
        Lane::JWT_AUTHN => "native",
        JWT_AUTHN_CACHED => "cached",
        _ => "ours",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
