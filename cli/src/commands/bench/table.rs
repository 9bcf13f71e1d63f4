//! The figures as text.

use super::comparison::{Comparison, Verdict};
use super::figures::Figures;
use super::measure::{Measured, Run};
use crate::units::{self, count, duration, short_time, size, three_digits};
use unicode_width::UnicodeWidthStr;

/// A row of the table: what it is called, and its value of one version.
type Row = (&'static str, fn(&Measured) -> String);

const ROWS: [Row; 7] = [
    ("median", |measured| time(measured, |figures| figures.median() as f64)),
    ("p99", |measured| time(measured, |figures| figures.p99() as f64)),
    ("min", |measured| time(measured, |figures| figures.min() as f64)),
    ("max", |measured| time(measured, |figures| figures.max() as f64)),
    ("mean", |measured| time(measured, Figures::mean)),
    ("calls a second", |measured| three_digits(measured.figures.calls_per_second())),
    ("memory", |measured| size(measured.memory_bytes)),
];

fn time(measured: &Measured, of: impl Fn(&Figures) -> f64) -> String {
    short_time(of(&measured.figures))
}

/// A column for each version, then what the comparison says.
pub fn table(run: &Run, comparison: Option<&Comparison>) -> String {
    let took = duration(u64::try_from(run.took.as_micros()).unwrap_or(u64::MAX));
    let rounds = count(run.rounds(), "round", "rounds");
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
    let verdict = match verdict {
        Verdict::Faster | Verdict::Slower => difference(ratio, first, second),
        Verdict::Noise => "The difference is likely noise.".to_owned(),
        Verdict::TooFewRounds => "These are too few rounds to tell a difference from noise.".to_owned(),
    };
    let within = interval.map_or(String::new(), |(low, high)| {
        format!(", 95 % confidence interval {} to {}", units::ratio(low), units::ratio(high))
    });
    let ratio = units::ratio(ratio);
    let p = if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") };
    let groups = count(groups as u64, "group", "groups");
    vec![verdict, format!("ratio {ratio}{within} (sign test on {groups} of rounds, {p})")]
}

/// Which version takes longer: in percent of the first one, or by the factor from 2 on.
fn difference(ratio: f64, first: &str, second: &str) -> String {
    let percent = ((ratio - 1.0).abs() * 100.0 * 10.0).round() / 10.0;
    match ratio {
        ..=0.5 => format!("{first} takes {} times as long as {second}.", three_digits(1.0 / ratio)),
        ..1.0 => format!("{second} takes {percent} % less time than {first}."),
        2.0.. => format!("{second} takes {} times as long as {first}.", three_digits(ratio)),
        _ => format!("{second} takes {percent} % more time than {first}."),
    }
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

    #[test]
    fn slow_calls_and_large_differences_have_their_digits() {
        let measured = vec![measured("slow", 4_000_000), measured("fast", 2_272)];
        let comparison = Comparison::new(&measured[0].figures.times, &measured[1].figures.times);
        let run = Run { measured, took: Duration::from_secs(4_800), is_interrupted: false };
        let table = table(&run, Some(&comparison));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[8].split_whitespace().collect::<Vec<_>>(), ["calls", "a", "second", "0.250", "440"]);
        assert_eq!(lines[11], "slow takes 1,760 times as long as fast.");
        assert!(lines[12].starts_with("ratio 0.000568, 95 % confidence interval 0.000568 to 0.000568 "), "{table}");
        for (ratio, expected) in [
            (0.5, "a takes 2.00 times as long as b."),
            (0.813, "b takes 18.7 % less time than a."),
            (1.9, "b takes 90 % more time than a."),
            (2.0, "b takes 2.00 times as long as a."),
            (1_760.4, "b takes 1,760 times as long as a."),
        ] {
            assert_eq!(difference(ratio, "a", "b"), expected);
        }
    }
}
