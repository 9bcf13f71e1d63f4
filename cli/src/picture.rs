//! The picture of a run as SVG text: a row for each step with its bar on a time axis, and an arrow from each step to
//! those that need it.

mod layout;

use crate::svg::{Head, escaped};
use crate::timeline::{State, StepRun};
use crate::units::{count, duration, grouped};
use layout::{Layout, Tick};
use std::fmt::Write;
use unicode_width::UnicodeWidthChar;

const WIDTH: f64 = 1000.0;
/// The left edges of the columns: names, bars, figures.
const NAMES: f64 = 20.0;
const BARS: f64 = 250.0;
const FIGURES: f64 = 745.0;
/// How far the bars reach.
const BARS_END: f64 = FIGURES - 25.0;
/// Where the rows begin, and how high a row and a bar are.
const TOP: f64 = 84.0;
const ROW: f64 = 40.0;
const BAR: f64 = 18.0;
/// The most columns of a name. A longer one is cut, and whole in the row's tooltip.
const LONGEST: usize = 28;

/// The classes of bars are the names that `class` gives to states.
const STYLE: &str = "\
.name{font-weight:bold}
.needs{fill:none;stroke:#59636e}
.tip{fill:#59636e}
.done{fill:#2f6fbd}
.failed{fill:#cf222e}
.stopped{fill:#bc6c0c}
.given{fill:#8a939c}
.not-run{fill:#d1d9e0;stroke:#8a939c;stroke-dasharray:3 2}
";
const DARK_STYLE: &str = "\
.needs{stroke:#9198a1}
.tip{fill:#9198a1}
.done{fill:#4a90e2}
.failed{fill:#f85149}
.stopped{fill:#e3a04a}
.given{fill:#6e7681}
.not-run{fill:#30363d;stroke:#6e7681}
";

/// The whole file. `total_us` is the time of the whole pipeline.
pub fn svg(steps: &[StepRun], total_us: u64) -> String {
    let layout = Layout::new(steps, total_us);
    let bottom = TOP + ROW * steps.len() as f64;
    let height = bottom + 20.0;
    let title = title(steps, total_us);
    let head = Head { width: WIDTH, height, title: &title, attributes: "", style: STYLE, dark_style: DARK_STYLE };
    let mut out = head.svg();
    let _ = write!(
        out,
        "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n\
         <text x=\"{NAMES}\" y=\"34\">{title}</text>\n"
    );
    for Tick { x, text } in &layout.ticks {
        let (above, begin) = (TOP - 14.0, TOP - 8.0);
        let _ = writeln!(out, "<text class=\"faint middle\" x=\"{x:.1}\" y=\"{above}\">{text}</text>");
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{x:.1} {begin}V{bottom}\"/>");
    }
    for (at, step) in steps.iter().enumerate() {
        row(&mut out, step, &layout, at);
    }
    for (from, to) in &layout.arrows {
        arrow(&mut out, &layout, *from, *to);
    }
    out + "</svg>\n"
}

fn title(steps: &[StepRun], total_us: u64) -> String {
    let all = count(steps.len() as u64, "step", "steps");
    if let Some(failed) = steps.iter().find(|step| step.state == State::Failed) {
        return format!("step {} failed after {}", escaped(&failed.name), duration(total_us));
    }
    let is = |state| move |step: &StepRun| step.state == state;
    if steps.iter().all(is(State::NotRun)) {
        format!("{all}, not run")
    } else if steps.iter().any(is(State::Stopped)) {
        format!("{all}, stopped after {}", duration(total_us))
    } else {
        format!("{all} in {}", duration(total_us))
    }
}

fn middle(at: usize) -> f64 {
    TOP + ROW * (at as f64 + 0.5)
}

fn row(out: &mut String, step: &StepRun, layout: &Layout, at: usize) {
    let (start, end) = layout.bars[at];
    let (middle, width) = (middle(at), end - start);
    let (name, runtime) = (escaped(&cut(&step.name)), escaped(&cut(&step.runtime)));
    let (times, counts) = (times(step), counts(step));
    let all: Vec<&str> = [&*step.runtime].into_iter().chain(times.iter().chain(&counts).map(String::as_str)).collect();
    let tooltip = escaped(&format!("{}: {}", step.name, all.join(", ")));
    let [times, counts] = [times, counts].map(|figures| escaped(&figures.join(" · ")));
    let (upper, lower) = (middle - 2.0, middle + 13.0);
    let _ = writeln!(
        out,
        "<g><title>{tooltip}</title>\n\
         <text class=\"name\" x=\"{NAMES}\" y=\"{upper}\">{name}</text>\
         <text class=\"faint\" x=\"{NAMES}\" y=\"{lower}\">{runtime}</text>\n\
         <rect class=\"{}\" x=\"{start:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"3\"/>\n\
         <text x=\"{FIGURES}\" y=\"{upper}\">{times}</text>\
         <text class=\"faint\" x=\"{FIGURES}\" y=\"{lower}\">{counts}</text></g>",
        class(step.state),
        middle - BAR / 2.0,
    );
}

fn class(state: State) -> &'static str {
    match state {
        State::Done => "done",
        State::Failed => "failed",
        State::Running | State::Stopped => "stopped",
        State::NotRun => "not-run",
        State::Given => "given",
    }
}

/// The upper line at the right of a row: what became of the step.
fn times(step: &StepRun) -> Vec<String> {
    let took = duration(step.took_us());
    match step.state {
        State::NotRun => vec!["not run".to_owned()],
        State::Given => vec!["given".to_owned()],
        State::Done => [took].into_iter().chain(step.cache.clone()).collect(),
        State::Failed => vec!["failed".to_owned(), took],
        State::Running | State::Stopped => vec!["stopped".to_owned(), took],
    }
}

/// The lower line.
fn counts(step: &StepRun) -> Vec<String> {
    let items = step.items.map(|items| match step.state {
        State::Done => count(items, "item", "items"),
        _ => format!("{} of {}", grouped(step.items_done), count(items, "item", "items")),
    });
    step.tries.map(|tries| count(tries, "try", "tries")).into_iter().chain(items).collect()
}

/// An S from the end of a bar to the beginning of a later one.
fn arrow(out: &mut String, layout: &Layout, from: usize, to: usize) {
    let ((_, x1), (x2, _)) = (layout.bars[from], layout.bars[to]);
    let (y1, y2) = (middle(from), middle(to));
    let bend = ((x2 - x1) / 2.0).clamp(16.0, 60.0);
    let (c1, c2) = (x1 + bend, x2 - bend);
    let _ = writeln!(
        out,
        "<path class=\"needs\" d=\"M{x1:.1} {y1}C{c1:.1} {y1} {c2:.1} {y2} {x2:.1} {y2}\" marker-end=\"url(#tip)\"/>"
    );
}

fn cut(text: &str) -> String {
    let mut width = 0;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width <= LONGEST
    };
    let short: String = text.chars().take_while(fits).collect();
    if short.len() == text.len() { short } else { short + "…" }
}

#[cfg(test)]
mod tests;
