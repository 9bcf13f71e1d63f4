//! A run of the soak as a picture: each figure over time, and the trend of the second half.

use super::scene::{FIGURES, Sample, second_half};
use super::trend::Trend;
use std::fmt::Write;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 64.0;
/// The height of a chart, and the distance from one to the next.
const CHART: f64 = 84.0;
const STEP: f64 = 128.0;

/// As in the library's other pictures, everything stands on a ground of its own, and the colours follow the reader's.
const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}
.title{font-size:16px;font-weight:bold}
.faint{font-size:12px;fill:#59636e}
.end{text-anchor:end}
.ground{fill:#fff;stroke:#d1d9e0}
.axis{stroke:#d1d9e0;fill:none}
.figure{stroke:#0b6bcb;fill:none;stroke-width:1.5;stroke-linejoin:round}
.trend{stroke:#bc6c0c;fill:none;stroke-width:2;stroke-dasharray:6 4}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.faint{fill:#9198a1}
.ground{fill:#0d1117;stroke:#30363d}
.axis{stroke:#30363d}
.figure{stroke:#58a6ff}
.trend{stroke:#e3a04a}
}";

/// What is known of each figure: a line each.
pub fn told(samples: &[Sample]) -> Vec<String> {
    let Some(last) = samples.last() else { return Vec::new() };
    let head = format!("{:.0} s, {} actions, {} samples", last.seconds, last.actions, samples.len());
    let figures = FIGURES.iter().enumerate().map(|(n, figure)| {
        let points = second_half(samples, n);
        let (trend, bound) = (Trend::of(&points), figure.bound_of(&points));
        let values = || points.iter().map(|point| point.1);
        let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        let mut unit = figure.unit.to_owned();
        if !unit.is_empty() {
            unit.insert(0, ' ');
        }
        format!(
            "{}: {}{unit} to {}{unit} in the second half, trend {:+.2}{unit} (Mann–Kendall z {:+.1}), allowed {}{unit}",
            figure.name,
            number(least),
            number(most),
            trend.rise,
            trend.z,
            number(bound)
        )
    });
    std::iter::once(head).chain(figures).collect()
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// A duration as people say it.
fn duration(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// The number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

pub fn drawn(samples: &[Sample]) -> String {
    let height = TOP + STEP * FIGURES.len() as f64 + 20.0;
    let last = samples.last().unwrap();
    let end = last.seconds;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"What a process takes \
         during {} of every kind of call\">\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"24\" y=\"32\">Every kind of call, good and hostile, from eight threads: {}, {} actions</text>\n\
         <text class=\"faint\" x=\"24\" y=\"52\">Sampled while all threads stand between two calls, with the cache emptied and free memory \
         given back. Dashed: the trend of the second half.</text>\n",
        duration(end),
        WIDTH - 1.0,
        height - 1.0,
        duration(end),
        grouped(last.actions)
    );
    for (n, figure) in FIGURES.iter().enumerate() {
        chart(&mut svg, samples, n, TOP + 30.0 + STEP * n as f64, figure.name, figure.unit);
    }
    svg + "</svg>\n"
}

fn chart(svg: &mut String, samples: &[Sample], figure: usize, top: f64, name: &str, unit: &str) {
    let end = samples.last().unwrap().seconds;
    let points: Vec<(f64, f64)> = samples.iter().map(|sample| (sample.seconds, sample.figures[figure])).collect();
    // Each chart begins at 0, so that a rise looks as large as it is.
    let most = points.iter().map(|point| point.1).fold(1.0, f64::max) * 1.05;
    let x = |seconds: f64| LEFT + (RIGHT - LEFT) * seconds / end;
    let y = |value: f64| top + CHART - CHART * value / most;
    let path = |points: &[(f64, f64)]| {
        points.iter().map(|(time, value)| format!("{:.1},{:.1} ", x(*time), y(*value))).collect::<String>()
    };
    let second = second_half(samples, figure);
    let trend = Trend::of(&second);
    let line = [second[0].0, end].map(|time| (time, trend.offset + trend.slope * time));
    let label = match unit {
        "" => name.to_owned(),
        unit => format!("{name}, {unit}"),
    };
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\">{label}</text>\n\
         <text class=\"faint end\" x=\"{RIGHT}\" y=\"{}\">trend {:+.2} in the second half, allowed {}</text>\n\
         <path class=\"axis\" d=\"M{LEFT} {top}V{bottom}H{RIGHT}\"/>\n\
         <text class=\"faint end\" x=\"{}\" y=\"{}\">{}</text>\n<text class=\"faint end\" x=\"{}\" y=\"{bottom}\">0</text>\n\
         <polyline class=\"figure\" points=\"{}\"/>\n<polyline class=\"trend\" points=\"{}\"/>\n",
        top - 8.0,
        top - 8.0,
        trend.rise,
        number(super::scene::FIGURES[figure].bound_of(&second)),
        LEFT - 8.0,
        y(most / 1.05) + 4.0,
        number(most / 1.05),
        LEFT - 8.0,
        path(&points),
        path(&line),
        bottom = top + CHART,
    );
    if figure + 1 == FIGURES.len() {
        for (share, anchor) in [(0.0, ""), (0.5, ""), (1.0, " end")] {
            let _ = writeln!(
                svg,
                "<text class=\"faint{anchor}\" x=\"{:.0}\" y=\"{}\">{}</text>",
                x(end * share),
                top + CHART + 16.0,
                duration(end * share)
            );
        }
    }
}
