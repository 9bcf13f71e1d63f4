//! The figures as text.

use super::comparison::{Comparison, Verdict};
use super::figures::Figures;
use super::measure::{Measured, Run};
use crate::units::{count, duration, grouped, short_time, size};
use unicode_width::UnicodeWidthStr;

/// A row of the table: what it is called, and its value of one version.
type Row = (&'static str, fn(&Measured) -> String);

const ROWS: [Row; 7] = [
    ("median", |measured| time(measured, |figures| figures.median() as f64)),
    ("p99", |measured| time(measured, |figures| figures.p99() as f64)),
    ("min", |measured| time(measured, |figures| figures.min() as f64)),
    ("max", |measured| time(measured, |figures| figures.max() as f64)),
    ("mean", |measured| time(measured, Figures::mean)),
    ("calls a second", |measured| grouped(measured.figures.calls_per_second().round() as u64)),
    ("memory", |measured| size(measured.memory_bytes)),
];

fn time(measured: &Measured, of: impl Fn(&Figures) -> f64) -> String {
    short_time(of(&measured.figures))
}

/// A column for each version, then what the comparison says.
pub fn table(run: &Run, comparison: Option<&Comparison>) -> String {
    let took = duration(u64::try_from(run.took.as_micros()).unwrap_or(u64::MAX));
    let rounds = count(run.rounds(), "round", "rounds").replacen(&run.rounds().to_string(), &grouped(run.rounds()), 1);
    let mut lines = vec![format!("{rounds} in {took}"), String::new()];
    let names: Vec<&str> = run.measured.iter().map(|measured| &*measured.name).collect();
    let values = ROWS.map(|(_, value)| run.measured.iter().map(value).collect::<Vec<_>>());
    let first = ROWS.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len())
        .map(|at| values.iter().map(|row| row[at].width()).chain([names[at].width()]).max().unwrap_or(0))
        .collect();
    let line = |name: &str, values: &mut dyn Iterator<Item = &str>| {
        let mut line = padded(name, first);
        for (value, width) in values.zip(&widths) {
            line = line + "  " + &" ".repeat(width - value.width()) + value;
        }
        line
    };
    lines.push(line("", &mut names.iter().copied()));
    for ((name, _), values) in ROWS.iter().zip(&values) {
        lines.push(line(name, &mut values.iter().map(String::as_str)));
    }
    if let (Some(comparison), [first, second]) = (comparison, &names[..]) {
        lines.push(String::new());
        lines.extend(sentences(comparison, first, second));
    }
    lines.join("\n") + "\n"
}

fn sentences(comparison: &Comparison, first: &str, second: &str) -> Vec<String> {
    let Comparison { ratio, interval, groups, p, verdict } = *comparison;
    let percent = ((ratio - 1.0).abs() * 100.0 * 10.0).round() / 10.0;
    let verdict = match verdict {
        Verdict::Faster => format!("{second} takes {percent} % less time than {first}."),
        Verdict::Slower => format!("{second} takes {percent} % more time than {first}."),
        Verdict::Noise => "The difference is likely noise.".to_owned(),
        Verdict::TooFewRounds => "These are too few rounds to tell a difference from noise.".to_owned(),
    };
    let within = match interval {
        Some((low, high)) => format!(", 95 % confidence interval {low:.3} to {high:.3}"),
        None => String::new(),
    };
    let p = if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") };
    let groups = count(groups as u64, "group", "groups");
    vec![verdict, format!("ratio {ratio:.3}{within} (sign test on {groups} of rounds, {p})")]
}

fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(text.width()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn measured(name: &str, us: u64) -> Measured {
        let figures = Figures::new((0..1200).map(|round| (us + round % 3) * 1000).collect());
        Measured { name: name.to_owned(), figures, memory_bytes: 1 << 20 }
    }

    #[test]
    fn a_column_for_each_version_and_a_verdict() {
        let measured = vec![measured("greet", 10), measured("日本.wasm", 20)];
        let comparison = Comparison::new(&measured[0].figures.times, &measured[1].figures.times);
        let run = Run { measured, took: Duration::from_millis(3000), is_interrupted: false };
        let table = table(&run, Some(&comparison));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "1,200 rounds in 3.00 s",
                "",
                "                  greet  日本.wasm",
                "median          11.0 µs    21.0 µs",
                "p99             12.0 µs    22.0 µs",
            ]
        );
        assert_eq!(lines[8], "calls a second   90,909     47,619");
        assert_eq!(lines[9], "memory           1.0 MB     1.0 MB");
        assert_eq!(lines[11], "日本.wasm takes 90.9 % more time than greet.");
        assert_eq!(
            lines[12],
            "ratio 1.909, 95 % confidence interval 1.909 to 1.909 (sign test on 100 groups of rounds, p < 0.001)"
        );
    }
}
