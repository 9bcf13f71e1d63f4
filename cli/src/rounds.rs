//! Repeating a call: how often, for how long, and what a terminal shows meanwhile.

use crate::interrupt::Interrupt;
use clap::{Args, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// The most rounds: the time of each is kept.
const MOST: u64 = 10_000_000;
/// How long rounds go on where nothing is said, in seconds.
const SECONDS: f64 = 3.0;
/// How often the progress is drawn anew.
const REDRAWN: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, Default, Args)]
pub struct RoundsArguments {
    /// Stops after so many rounds
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..=MOST))]
    pub rounds: Option<u64>,
    /// Stops with the round that ends after so many seconds [default: 3, without --rounds]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub seconds: Option<f64>,
}

/// Rounds that go on.
pub struct Rounds<'a> {
    most: u64,
    time: Option<Duration>,
    interrupt: &'a Interrupt,
    begun: Instant,
    done: u64,
    bar: ProgressBar,
    drawn: Instant,
}

impl RoundsArguments {
    /// Begins the rounds. What they do is `doing`.
    pub fn begin<'a>(&self, interrupt: &'a Interrupt, doing: &'static str, is_quiet: bool) -> Rounds<'a> {
        let seconds = self.seconds.or(if self.rounds.is_some() { None } else { Some(SECONDS) });
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_shown = !is_quiet && io::stderr().is_terminal() && !is_dumb;
        let bar = if is_shown { bar(doing) } else { ProgressBar::hidden() };
        let (most, time, now) = (self.rounds.unwrap_or(MOST), seconds.map(Duration::from_secs_f64), Instant::now());
        Rounds { most, time, interrupt, begun: now, done: 0, bar, drawn: now }
    }
}

impl Rounds<'_> {
    /// Whether there is another round. The first one there always is.
    pub fn next(&mut self) -> bool {
        let elapsed = self.begun.elapsed();
        let is_over = self.done >= self.most || self.time.is_some_and(|time| elapsed >= time);
        if self.done > 0 && (is_over || self.interrupt.is_pressed()) {
            return false;
        }
        if !self.bar.is_hidden() && self.drawn.elapsed() >= REDRAWN {
            self.drawn = Instant::now();
            self.bar.set_position((1000.0 * self.share(elapsed)) as u64);
            self.bar.set_message(format!("{} rounds", self.done));
        }
        self.done += 1;
        true
    }

    /// How much of the rounds is done.
    fn share(&self, elapsed: Duration) -> f64 {
        let of_time = self.time.map_or(0.0, |time| elapsed.as_secs_f64() / time.as_secs_f64());
        of_time.max(self.done as f64 / self.most as f64).min(1.0)
    }

    /// Takes the progress off the terminal. Returns how long the rounds took.
    pub fn end(self) -> Duration {
        self.bar.finish_and_clear();
        self.begun.elapsed()
    }
}

fn bar(doing: &'static str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix} [{bar:30}] {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1000).with_style(style.progress_chars("=> ")).with_prefix(doing)
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => Ok(seconds),
        Ok(_) => Err("it must be from 0.001 to 86400 (a day)".to_owned()),
        Err(_) => Err(format!("`{text}` is not a number of seconds, such as 3 or 0.5")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rounds: Option<u64>, seconds: Option<f64>) -> u64 {
        let interrupt = Interrupt::never();
        let mut rounds = RoundsArguments { rounds, seconds }.begin(&interrupt, "testing", true);
        while rounds.next() {}
        rounds.done
    }

    #[test]
    fn rounds_end_by_their_number_or_their_time() {
        assert_eq!(count(Some(7), None), 7);
        assert_eq!(count(Some(7), Some(60.0)), 7);
        assert!(count(Some(MOST), Some(0.001)) < MOST);
        assert!(count(None, Some(0.001)) > 0);
    }

    #[test]
    fn seconds_are_a_number_that_makes_sense() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        for text in ["0", "-1", "inf", "NaN", "1e9"] {
            assert!(seconds(text).is_err_and(|error| error.contains("from 0.001 to 86400")), "{text}");
        }
        assert!(seconds("3s").is_err_and(|error| error.contains("`3s` is not a number of seconds")));
    }
}
