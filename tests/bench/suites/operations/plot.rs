//! The picture: panels in two columns, the scenes shaded behind their lines.

use std::fmt::Write;

use super::panels::Filled;
use super::script::Scene;
use crate::machine::Machine;

const WIDTH: f64 = 1040.0;
const COLUMN: f64 = 520.0;
const TOP: f64 = 76.0;
const PANEL: f64 = 236.0;
/// Where the lines are, within a panel.
const LEFT: f64 = 52.0;
const ABOVE: f64 = 44.0;
const PLOT_WIDTH: f64 = 446.0;
const PLOT_HEIGHT: f64 = 140.0;

/// Colours that can be told apart on light and on dark ground, also by those who see no red or no green.
const COLOURS: [&str; 8] = ["#2f6fde", "#d98c00", "#009e73", "#cc79a7", "#56b4e9", "#b5651d", "#8a7fd0", "#9aa4af"];
const STYLE: &str = "
    text { font: 11px system-ui, sans-serif; fill: #24292f }
    .title { font-size: 16px; font-weight: 600 }
    .panel { font-size: 13px; font-weight: 600 }
    .small { font-size: 9px; fill: #57606a }
    .number { text-anchor: end }
    .middle { text-anchor: middle }
    .axis { stroke: #d0d7de }
    .scene { fill: #57606a; fill-opacity: .08 }
    polyline { fill: none; stroke-width: 1.6 }
    @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3 }
        .small { fill: #8d96a0 }
        .axis { stroke: #3d444d }
        .scene { fill: #8d96a0; fill-opacity: .16 }
    }
";

/// The picture as SVG.
pub fn svg(panels: &[Filled], scenes: &[Scene], machine: &Machine) -> String {
    let mut body = String::new();
    for (place, panel) in panels.iter().enumerate() {
        let (column, row) = ((place % 2) as f64, (place / 2) as f64);
        body += &draw(panel, scenes, 10.0 + column * COLUMN, TOP + row * PANEL);
    }
    let height = TOP + panels.len().div_ceil(2) as f64 * PANEL;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">Panels of the dashboard during an outage of the key service, an attack and a disabled session key</title>\n\
         <style>{STYLE}</style>\n\
         <text class=\"title\" x=\"10\" y=\"24\">What operators see: an outage of the key service, an attack, a disabled session key</text>\n\
         <text class=\"small\" x=\"10\" y=\"42\">Envoy with envoy.yaml, but for stale_if_error 25s, and keys with max-age=5, watched by Prometheus every second.</text>\n\
         <text class=\"small\" x=\"10\" y=\"56\">{}</text>\n{body}</svg>\n",
        machine.line().replace('&', "&amp;").replace('<', "&lt;"),
    )
}

fn draw(filled: &Filled, scenes: &[Scene], x: f64, y: f64) -> String {
    let (begin, end) = Scene::span(scenes);
    let highest = filled.lines.iter().flat_map(|(_, points)| points).map(|(_, value)| *value).filter(|v| v.is_finite());
    let top = round_up(highest.fold(0.0, f64::max));
    let across = |time: f64| x + LEFT + (time - begin) / (end - begin) * PLOT_WIDTH;
    let up = |value: f64| y + ABOVE + (1.0 - value / top) * PLOT_HEIGHT;
    let mut text = String::new();
    writeln!(text, r#"<text class="panel" x="{x}" y="{}">{}</text>"#, y + 14.0, filled.panel.title).unwrap();
    for (place, scene) in scenes.iter().enumerate() {
        let (left, right) = (across(scene.begin), across(scene.end));
        if place % 2 == 1 {
            let width = right - left;
            writeln!(
                text,
                r#"<rect class="scene" x="{left:.1}" y="{}" width="{width:.1}" height="{PLOT_HEIGHT}"/>"#,
                y + ABOVE
            )
            .unwrap();
        }
        // One above the other where they would overlap.
        let line = y + ABOVE - if place % 2 == 1 { 14.0 } else { 4.0 };
        writeln!(
            text,
            r#"<text class="small middle" x="{:.1}" y="{line}">{}</text>"#,
            (left + right) / 2.0,
            scene.name
        )
        .unwrap();
    }
    for share in [0.0, 0.5, 1.0] {
        let (value, at) = (top * share, up(top * share));
        writeln!(
            text,
            r#"<line class="axis" x1="{}" x2="{}" y1="{at:.1}" y2="{at:.1}"/><text class="small number" x="{}" y="{:.1}">{}</text>"#,
            x + LEFT,
            x + LEFT + PLOT_WIDTH,
            x + LEFT - 5.0,
            at + 3.0,
            number(value, &filled.panel.unit),
        )
        .unwrap();
    }
    let mut legend = x + LEFT;
    let mut legend_line = y + ABOVE + PLOT_HEIGHT + 16.0;
    for (place, (name, points)) in filled.lines.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let points: Vec<String> = points
            .iter()
            .filter(|(_, value)| value.is_finite())
            .map(|(time, value)| format!("{:.1},{:.1}", across(*time), up(*value)))
            .collect();
        writeln!(text, r#"<polyline stroke="{colour}" points="{}"/>"#, points.join(" ")).unwrap();
        let width = 28.0 + name.len() as f64 * 6.6;
        if legend + width > x + LEFT + PLOT_WIDTH {
            (legend, legend_line) = (x + LEFT, legend_line + 15.0);
        }
        writeln!(
            text,
            r#"<rect fill="{colour}" x="{legend:.1}" y="{:.1}" width="10" height="3"/><text x="{:.1}" y="{legend_line:.1}">{name}</text>"#,
            legend_line - 5.0,
            legend + 14.0,
        )
        .unwrap();
        legend += width;
    }
    text
}

/// The next number of one digit that ends an axis well.
fn round_up(highest: f64) -> f64 {
    let power = 10_f64.powf(highest.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|top| *top >= highest).unwrap_or(highest)
}

fn number(value: f64, unit: &str) -> String {
    match unit {
        "percentunit" => format!("{:.0} %", value * 100.0),
        "reqps" => format!("{value:.0}/s"),
        "ms" if value < 10.0 && value > 0.0 => format!("{value:.1} ms"),
        "ms" => format!("{value:.0} ms"),
        _ => format!("{value:.0}"),
    }
}
