//! Tables for people: columns that are aligned by what a terminal shows, without lines around them.

use crate::report::cell;
use anstyle::Style;
use console::Term;
use std::io::{self, IsTerminal};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const HEAD: Style = Style::new().bold();
const GAP: &str = "  ";

#[derive(Debug)]
pub struct Table<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[String; N]>,
    /// The columns of numbers, which are aligned at the right.
    numbers: &'static [usize],
}

impl<const N: usize> Table<N> {
    pub fn new(head: [&'static str; N], numbers: &'static [usize]) -> Self {
        Table { head, rows: Vec::new(), numbers }
    }

    /// Adds a row, whose texts may be anybody's.
    pub fn row(&mut self, texts: [&str; N]) {
        self.rows.push(texts.map(cell));
    }

    /// The table as stdout takes it: lines are cut where a terminal would break them, and are whole elsewhere.
    pub fn text(&self) -> String {
        let columns = io::stdout().is_terminal().then(|| Term::stdout().size_checked()).flatten();
        self.within(columns.map(|(_, columns)| usize::from(columns)))
    }

    fn within(&self, most: Option<usize>) -> String {
        let widths: [usize; N] = std::array::from_fn(|at| {
            let cells = self.rows.iter().map(|row| row[at].width());
            cells.chain([self.head[at].width()]).max().unwrap_or(0)
        });
        let line = |cells: [&str; N]| {
            let mut line = String::new();
            for (at, cell) in cells.into_iter().enumerate() {
                let padding = " ".repeat(widths[at] - cell.width());
                match self.numbers.contains(&at) {
                    true => line += &(padding + cell),
                    false => line += &(cell.to_owned() + &padding),
                }
                line += GAP;
            }
            most.map_or(line.trim_end().to_owned(), |most| cut(line.trim_end(), most))
        };
        let mut text = format!("{HEAD}{}{HEAD:#}\n", line(self.head));
        for row in &self.rows {
            text += &line(row.each_ref().map(String::as_str));
            text.push('\n');
        }
        text
    }
}

/// The text, with `…` at its end where it would be wider than `most`.
fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let mut width = 0;
    let is_within = |c: &char| {
        width += c.width().unwrap_or(0);
        width < most
    };
    text.chars().take_while(is_within).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(table: &Table<3>, most: Option<usize>) -> Vec<String> {
        let text = anstream::adapter::strip_str(&table.within(most)).to_string();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        let mut table = Table::new(["NAME", "SIZE", "DESCRIPTION"], &[1]);
        table.row(["日本", "1.5 MB", "a\x1b[2J\nb\tc"]);
        table.row(["passthrough", "12 kB", ""]);
        let expected =
            ["NAME           SIZE  DESCRIPTION", "日本         1.5 MB  a\\u{1b}[2J\\nb c", "passthrough   12 kB"];
        assert_eq!(plain(&table, None), expected);
    }

    #[test]
    fn a_line_is_cut_where_a_terminal_ends() {
        let mut table = Table::new(["A", "B", "C"], &[]);
        table.row(["x", "y", "日本日本"]);
        assert_eq!(plain(&table, Some(12)), ["A  B  C", "x  y  日本…"]);
        assert_eq!(plain(&table, Some(14))[1], "x  y  日本日本");
        assert_eq!(cut("abc", 0), "…");
    }
}
