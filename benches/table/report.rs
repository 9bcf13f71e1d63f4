//! What was measured, beside what it should be.

use std::fmt::Write;

/// How a figure relates to its target.
#[derive(Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// For comparison.
    None,
}

struct Row {
    what: String,
    target: Target,
    unit: &'static str,
    measured: f64,
    how: String,
}

pub struct Table {
    rounds: usize,
    rows: Vec<Row>,
}

impl Table {
    pub fn new(rounds: usize) -> Self {
        Table { rounds, rows: Vec::new() }
    }

    /// A figure, and the two times or sizes that it comes from.
    pub fn row(&mut self, what: &str, target: Target, unit: &'static str, measured: f64, how: String) {
        eprintln!("{what}: {measured:.2}{unit} ({how})");
        self.rows.push(Row { what: what.to_owned(), target, unit, measured, how });
    }

    pub fn markdown(&self) -> String {
        let mut text = "| what | target | measured | of |\n| --- | --- | ---: | --- |\n".to_owned();
        for row in &self.rows {
            let Row { what, target, unit, measured, how } = row;
            let (target, is_met) = match target {
                Target::AtMost(most) => (format!("at most {most}{unit}"), measured <= most),
                Target::AtLeast(least) => (format!("at least {least}{unit}"), measured >= least),
                Target::None => (String::new(), true),
            };
            let mark = if is_met { "" } else { " (missed)" };
            writeln!(text, "| {what} | {target} | {measured:.2}{unit}{mark} | {how} |").unwrap();
        }
        text
    }

    /// The page of `docs`.
    pub fn page(&self) -> String {
        format!(
            "# Figures\n\nWritten by `make bench` ({} rounds) on {}.\nEvery call is a fresh instance of `passthrough` through \
             the C interface. Medians of one interleaved run; a ratio\nmeans something on any machine, a time on this one.\n\n\
             {}\n![Microseconds a call against the size of the input](latency.svg)\n\n\
             ![Microseconds of a small call in each language](languages.svg)\n",
            self.rounds,
            machine(),
            self.markdown()
        )
    }
}

/// The machine as far as it matters for the figures.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": a processor");
    let model = model.trim_start_matches([' ', '\t', ':']).to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let release = read("/proc/sys/kernel/osrelease");
    let kernel: Vec<&str> = release.trim().split('.').take(2).collect();
    let is_virtual = if cpus.contains("hypervisor") { ", a virtual machine" } else { "" };
    format!("{cores} cores of {model}{is_virtual}, Linux {}", kernel.join("."))
}
