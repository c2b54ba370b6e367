//! The refreshes of a run as bars.

use std::fmt::Write as _;

use super::Report;

const WIDTH: f64 = 720.0;
const LABELS: f64 = 230.0;
/// Room for the figures to the right of the bars.
const FIGURES: f64 = 150.0;
const ROW: f64 = 30.0;
const TITLE: f64 = 56.0;

/// Readable on a light ground and on a dark one.
const STYLE: &str = "text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600 } \
    .unit { fill: #656d76 } .bar { fill: #8c959f } .ours { fill: #0969da } \
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .unit { fill: #8d96a0 } .bar { fill: #6e7681 } \
    .ours { fill: #4493f8 } }";

/// An SVG picture of how many refreshes a second each server answers on so many connections.
pub fn chart(report: &Report, connections: usize) -> String {
    let mut bars = vec![("two bare signatures", report.signatures_per_second() / 2.0)];
    bars.extend(report.refreshes(connections));
    let most = bars.iter().map(|(_, rate)| *rate).fold(f64::MIN_POSITIVE, f64::max);
    let mut rows = String::new();
    let mut top = TITLE;
    for (name, rate) in &bars {
        let class = if name.starts_with("attesto") { "bar ours" } else { "bar" };
        let (length, middle) = ((WIDTH - LABELS - FIGURES) * rate / most, top + 17.0);
        let share = 100.0 * rate / bars[0].1;
        let _ = write!(
            rows,
            "<text x=\"{end}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>\n\
             <rect class=\"{class}\" x=\"{LABELS}\" y=\"{bar}\" width=\"{length:.1}\" height=\"20\" rx=\"2\"/>\n\
             <text x=\"{figure:.1}\" y=\"{middle}\">{rate:.0}/s <tspan class=\"unit\">({share:.0} %)</tspan></text>\n",
            end = LABELS - 10.0,
            bar = top + 2.0,
            figure = LABELS + length + 8.0,
        );
        top += ROW;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>Refreshes per second</title>\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"10\" y=\"22\">Refreshes per second on one core, {connections} connections</text>\n\
         <text class=\"unit\" x=\"10\" y=\"42\">in brackets: of what two RSA-2048 signatures would allow by \
         themselves</text>\n{rows}</svg>\n",
        height = top + 10.0,
    )
}
