//! The flame graph: a box for each function on the stacks, as wide as its samples, over the one that called it.

use super::names::{names, place};
use super::tree::{Frame, frames};
use crate::svg::{Head, escaped};
use crate::units::grouped;
use arawn::Profile;
use std::fmt::Write;
use unicode_width::UnicodeWidthChar;

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 16.0;
const BOXES: f64 = WIDTH - 2.0 * LEFT;
const TOP: f64 = 62.0;
const ROW: f64 = 18.0;
/// The width of a letter of the boxes' font.
const LETTER: f64 = 7.0;
/// A narrower box is left out, with what is over it.
const NARROWEST: f64 = 0.25;
const COLOURS: u64 = 8;

const STYLE: &str = "\
.link{cursor:pointer;text-decoration:underline}
.f rect{stroke:#fff;stroke-width:.5}
.f text{font:11.5px ui-monospace,'DejaVu Sans Mono',Consolas,monospace;fill:#1f2328;pointer-events:none}
.f:hover rect{stroke:#1f2328;stroke-width:1}
.outer{opacity:.45}
.c0{fill:#f4b183}
.c1{fill:#f6c177}
.c2{fill:#f2a65a}
.c3{fill:#eb9b6f}
.c4{fill:#f0b95d}
.c5{fill:#e9a17c}
.c6{fill:#f5c794}
.c7{fill:#e8b04a}
.all{fill:#b8c0c8}
.f.hit rect{fill:#a78bda}
";
const DARK_STYLE: &str = "\
.f rect{stroke:#0d1117}
.f:hover rect{stroke:#e6edf3}
";

/// The whole file. `runtime` is what was profiled.
pub fn svg(runtime: &str, profile: &Profile) -> String {
    let (frames, names) = (frames(profile), names(profile));
    let all = profile.samples.max(1) as f64;
    let width = |frame: &Frame| BOXES * frame.samples as f64 / all;
    let shown: Vec<&Frame> =
        frames.iter().filter(|frame| frame.function.is_none() || width(frame) >= NARROWEST).collect();
    let depth = shown.iter().map(|frame| frame.depth).max().unwrap_or(0);
    let bottom = TOP + ROW * (depth as f64 + 1.0);
    let height = bottom + 16.0;
    let right = WIDTH - LEFT;
    let title = escaped(&format!("Where {runtime} spends its time"));
    let attributes = format!(" data-left=\"{LEFT}\" data-width=\"{BOXES}\" data-letter=\"{LETTER}\"");
    let head =
        Head { width: WIDTH, height, title: &title, attributes: &attributes, style: STYLE, dark_style: DARK_STYLE };
    let mut out = head.svg();
    let _ = write!(
        out,
        "<text class=\"title\" x=\"{LEFT}\" y=\"28\">{title}</text>\n\
         <text class=\"faint\" x=\"{LEFT}\" y=\"48\">{} samples; a box is as wide as the samples of a function and of \
         what it called</text>\n\
         <text id=\"found\" class=\"faint end\" x=\"{right}\" y=\"48\"/>\n\
         <text id=\"search\" class=\"faint end link\" x=\"{right}\" y=\"28\" display=\"none\">search</text>\n",
        grouped(profile.samples),
    );
    for frame in shown {
        let at = Place { x: LEFT + BOXES * frame.start as f64 / all, width: width(frame), bottom };
        let (name, location) = match frame.function {
            Some(function) => (&*names[function], place(&profile.functions[function])),
            None => (runtime, None),
        };
        draw(&mut out, frame, &at, name, location.as_deref(), profile.samples);
    }
    out + "<script><![CDATA[\n" + include_str!("flame.js") + "]]></script>\n</svg>\n"
}

struct Place {
    x: f64,
    width: f64,
    bottom: f64,
}

fn draw(out: &mut String, frame: &Frame, place: &Place, name: &str, location: Option<&str>, all: u64) {
    let share = |samples: u64| format!("{} ({:.1} %)", grouped(samples), 100.0 * samples as f64 / all.max(1) as f64);
    let location = location.map_or(String::new(), |location| format!("\n{location}"));
    let own = share(frame.own_samples);
    let title = format!("{name}{location}\nsamples: {}\nin the function itself: {own}", share(frame.samples));
    let y = place.bottom - ROW * (frame.depth as f64 + 1.0);
    let class = if frame.function.is_some() { format!("c{}", colour(name)) } else { "all".to_owned() };
    let _ = writeln!(
        out,
        "<g class=\"f\"><title>{}</title><rect class=\"{class}\" x=\"{:.2}\" y=\"{y}\" width=\"{:.2}\" height=\"{ROW}\" \
         rx=\"1.5\"/><text x=\"{:.2}\" y=\"{}\">{}</text></g>",
        escaped_lines(&title),
        place.x,
        place.width,
        place.x + 4.0,
        y + 13.0,
        escaped(&fitting(name, place.width)),
    );
}

/// As much of a name as a box has room for.
fn fitting(name: &str, width: f64) -> String {
    let most = ((width - 8.0) / LETTER).max(0.0) as usize;
    let columns = |text: &str| text.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    if columns(name) <= most {
        return name.to_owned();
    }
    if most < 3 {
        return String::new();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= most
    };
    name.chars().take_while(fits).collect::<String>() + "…"
}

/// A line end is a control character, which `escaped` replaces. Names have none.
fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// The same colour for the same name in each picture (FNV-1a).
fn colour(name: &str) -> u64 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    // The upper bits of a product depend on all bits of the hash.
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - COLOURS.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_to_its_box() {
        assert_eq!(fitting("main", 100.0), "main");
        assert_eq!(fitting("a_long_name", 8.0 + 5.0 * LETTER), "a_lo…");
        assert_eq!(fitting("日本語", 8.0 + 5.0 * LETTER), "日本…");
        assert_eq!(fitting("main", 20.0), "");
    }
}
