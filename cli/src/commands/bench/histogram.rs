//! The picture: how the times of the calls are spread, of one version or of two over each other.

use super::measure::Measured;
use crate::axis::{logarithmic_ticks, ticks};
use crate::svg::{Head, escaped};
use crate::units::{count, grouped, short_time};
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 28.0;
/// Where the lines of the legend, the labels of the marks and the bars begin. Each version has a line and two labels.
const LEGEND: f64 = 56.0;
const LINE: f64 = 18.0;
const LABEL: f64 = 14.0;
const PLOT: f64 = 260.0;
const BINS: usize = 80;
/// The width that the label of a mark may take.
const WIDEST_LABEL: f64 = 120.0;

const STYLE: &str = "\
.label{paint-order:stroke;stroke:#fff;stroke-width:4px}
.axis{stroke:#59636e}
.bar{fill-opacity:.6}
.bar:hover{fill-opacity:1}
.mark{stroke-width:1.5}
.p99{stroke-dasharray:5 3}
.v0{fill:#2f6fbd}
.v1{fill:#bc6c0c}
.mark.v0{stroke:#2f6fbd}
.mark.v1{stroke:#bc6c0c}
";
const DARK_STYLE: &str = "\
.label{stroke:#0d1117}
.axis{stroke:#9198a1}
.v0{fill:#4a90e2}
.v1{fill:#e3a04a}
.mark.v0{stroke:#4a90e2}
.mark.v1{stroke:#e3a04a}
";

/// Times so many times longer than the median are shown on a logarithmic axis.
const FAR: f64 = 4.0;

/// Which times are shown, and where.
struct Scale {
    low: f64,
    high: f64,
    is_logarithmic: bool,
    /// The greatest share of a bin.
    most: f64,
    top: f64,
}

impl Scale {
    /// How far a time is from the left edge to the right one, from 0 to 1.
    fn share(&self, nanos: f64) -> f64 {
        let share = match self.is_logarithmic {
            true => (nanos / self.low).ln() / (self.high / self.low).ln(),
            false => (nanos - self.low) / (self.high - self.low),
        };
        share.clamp(0.0, 1.0)
    }

    fn x(&self, nanos: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * self.share(nanos)
    }

    fn y(&self, share: f64) -> f64 {
        self.bottom() - PLOT * share / self.most
    }

    fn bottom(&self) -> f64 {
        self.top + PLOT
    }

    /// The time at which a bin begins.
    fn edge(&self, bin: usize) -> f64 {
        let share = bin as f64 / BINS as f64;
        match self.is_logarithmic {
            true => self.low * (self.high / self.low).powf(share),
            false => self.low + (self.high - self.low) * share,
        }
    }
}

/// The whole file.
pub fn svg(measured: &[Measured]) -> String {
    let low = measured.iter().map(|version| version.figures.min()).min().unwrap_or(0).max(1) as f64;
    let max = measured.iter().map(|version| version.figures.max()).max().unwrap_or(1) as f64;
    let most = |share: f64| measured.iter().map(|version| version.figures.quantile(share)).max().unwrap_or(1) as f64;
    // A few calls take many times as long as all others, and would leave no width to these.
    let is_near = |time: f64| time <= FAR * most(0.5);
    let [p95, p99] = [0.95, 0.99].map(most);
    let last = if is_near(p99) || !is_near(p95) { p99 } else { p95 };
    let high = (last + 0.2 * (last - low)).min(max).max(low + 1.0);
    let labels = LEGEND + LINE * measured.len() as f64;
    let top = labels + LABEL * (2 * measured.len()) as f64;
    let mut scale = Scale { low, high, is_logarithmic: !is_near(last), most: 0.0, top };
    let bins: Vec<Vec<u64>> = measured.iter().map(|version| bins(version.figures.sorted(), &scale)).collect();
    let share = |version: usize, calls: u64| calls as f64 / measured[version].figures.times.len() as f64;
    let shares = bins.iter().enumerate().flat_map(|(at, bins)| bins.iter().map(move |calls| share(at, *calls)));
    scale.most = shares.fold(0.001, f64::max) * 1.05;
    let height = scale.bottom() + 58.0;
    let versions: Vec<&str> = measured.iter().map(|version| &*version.name).collect();
    let title = escaped(&format!("Time of a call: {}", versions.join(" and ")));
    let head = Head { width: WIDTH, height, title: &title, attributes: "", style: STYLE, dark_style: DARK_STYLE };
    let mut out = head.svg();
    let _ = writeln!(out, "<text class=\"title\" x=\"24\" y=\"32\">{title}</text>");
    axes(&mut out, &scale);
    for (at, bins) in bins.iter().enumerate() {
        bars(&mut out, &scale, &measured[at], at, bins);
    }
    // Over all lines.
    let mut names = String::new();
    for (at, version) in measured.iter().enumerate() {
        legend(&mut out, version, at, high);
        let first = labels + LABEL * (2 * at) as f64;
        mark(&mut out, &mut names, &scale, (at, "median"), version.figures.median(), first);
        mark(&mut out, &mut names, &scale, (at, "p99"), version.figures.p99(), first + LABEL);
    }
    out + &names + "</svg>\n"
}

/// How many of the times are in each bin; those beyond the last are in none.
fn bins(sorted: &[u64], scale: &Scale) -> Vec<u64> {
    let mut bins = vec![0; BINS];
    for time in sorted.iter().map(|time| *time as f64).take_while(|time| *time <= scale.high) {
        let bin = (scale.share(time) * BINS as f64) as usize;
        bins[bin.min(BINS - 1)] += 1;
    }
    bins
}

fn axes(out: &mut String, scale: &Scale) {
    let (top, bottom, middle) = (scale.top, scale.bottom(), (LEFT + RIGHT) / 2.0);
    let (by, unit) = match scale.high {
        high if high < 1e3 => (1.0, "ns"),
        high if high < 1e6 => (1e3, "µs"),
        high if high < 1e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let (shares, digits) = ticks(0.0, 100.0 * scale.most, 6);
    for share in shares {
        let y = scale.y(share / 100.0);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>");
        let text = y + 4.0;
        let _ = writeln!(out, "<text class=\"faint end\" x=\"{}\" y=\"{text:.1}\">{share:.digits$}</text>", LEFT - 8.0);
    }
    let (low, high) = (scale.low / by, scale.high / by);
    let times = match scale.is_logarithmic {
        true => logarithmic_ticks(low, high).into_iter().map(|time| (time, time.to_string())).collect::<Vec<_>>(),
        false => {
            let (times, digits) = ticks(low, high, 9);
            times.into_iter().map(|time| (time, format!("{time:.digits$}"))).collect()
        }
    };
    let scaled = if scale.is_logarithmic { ", logarithmic" } else { "" };
    for (time, text) in times {
        let (x, end, below) = (scale.x(time * by), bottom + 5.0, bottom + 20.0);
        let _ = writeln!(out, "<path class=\"axis\" d=\"M{x:.1} {bottom}V{end}\"/>");
        let _ = writeln!(out, "<text class=\"faint middle\" x=\"{x:.1}\" y=\"{below}\">{text}</text>");
    }
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {bottom}H{RIGHT}\"/>\n\
         <text class=\"faint middle\" x=\"{middle}\" y=\"{}\">time of a call ({unit}{scaled})</text>\n\
         <text class=\"faint middle\" transform=\"translate(22 {}) rotate(-90)\">share of calls (%)</text>",
        bottom + 42.0,
        (top + bottom) / 2.0,
    );
}

fn bars(out: &mut String, scale: &Scale, version: &Measured, at: usize, bins: &[u64]) {
    let all = version.figures.times.len() as f64;
    for (bin, calls) in bins.iter().enumerate().filter(|(_, calls)| **calls > 0) {
        let [from, to] = [scale.edge(bin), scale.edge(bin + 1)];
        let share = *calls as f64 / all;
        let calls = count(*calls, "call", "calls");
        let [from_text, to_text] = [from, to].map(short_time);
        let title = format!("{}: {from_text} to {to_text}, {calls} ({:.2} %)", version.name, 100.0 * share);
        let (x, y) = (scale.x(from), scale.y(share));
        let _ = writeln!(
            out,
            "<rect class=\"bar v{at}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            scale.x(to) - x,
            scale.bottom() - y,
            escaped(&title),
        );
    }
}

/// A line of the legend: which colour a version has, and how many of its calls the picture leaves out.
fn legend(out: &mut String, version: &Measured, at: usize, high: f64) {
    let y = LEGEND + LINE * at as f64;
    let beyond = version.figures.sorted().iter().rev().take_while(|time| **time as f64 > high).count() as u64;
    let rounds = grouped(version.figures.times.len() as u64);
    let mut text = format!("{}: {rounds} calls", version.name);
    if beyond > 0 {
        let longest = short_time(version.figures.max() as f64);
        text += &format!(", {} of them beyond the right edge, up to {longest}", grouped(beyond));
    }
    let _ = writeln!(
        out,
        "<rect class=\"bar v{at}\" x=\"24\" y=\"{}\" width=\"12\" height=\"12\" rx=\"2\"/>\
         <text x=\"44\" y=\"{}\">{}</text>",
        y - 8.0,
        y + 3.0,
        escaped(&text),
    );
}

/// A line at a time, with a label of its own height, so that no two lie over each other.
fn mark(lines: &mut String, labels: &mut String, scale: &Scale, (at, name): (usize, &str), time: u64, y: f64) {
    let x = scale.x(time as f64);
    let beyond = if time as f64 > scale.high { " →" } else { "" };
    let text = format!("{name} {}{beyond}", short_time(time as f64));
    let (class, text_x) = if x > RIGHT - WIDEST_LABEL { (" end", x - 5.0) } else { ("", x + 5.0) };
    let (top, bottom, below) = (y - 4.0, scale.bottom(), y + 4.0);
    let _ = writeln!(lines, "<path class=\"mark v{at} {name}\" d=\"M{x:.1} {top}V{bottom}\"/>");
    let _ = writeln!(labels, "<text class=\"faint label{class}\" x=\"{text_x:.1}\" y=\"{below}\">{text}</text>");
}
