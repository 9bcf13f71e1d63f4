//! How long `regex` takes to read a pattern, told before it does.
//!
//! What takes long is not in the pattern's length but in its classes: one of Unicode is a table of ranges that is copied
//! and joined, and where upper and lower case are alike each code point of a class is looked up in turn.

use crate::meter;
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{self, *};

/// Steps for a byte.
pub(crate) const BYTE: usize = 32;
/// Steps for a table of Unicode, and for an operation on two of them.
const TABLE: usize = 5_000;
/// Steps for a class in brackets.
const BRACKETS: usize = 200;
/// Ranges of a large table.
const RANGES: usize = 1_000;
/// Code points that there are, which a table may have or leave out.
const POINTS: usize = 0x11_0000;
/// Code points that are looked up of a general category, but for those that are not assigned: ranges without cases are not.
const OF_A_CATEGORY: usize = 40_000;
/// Ranges that are moved in a step; a code point takes one to be looked up.
const IN_A_STEP: usize = 4;

/// Steps of reading a pattern once.
pub(crate) fn of(pattern: &str) -> usize {
    meter::spend(pattern.len() * BYTE);
    let cost = Parser::new().parse(pattern).map(|ast| ast::visit(&ast, Cost::default()));
    // What cannot be parsed is not read any further.
    pattern.len() * BYTE + cost.map_or(0, |Ok(steps)| steps)
}

#[derive(Default)]
struct Cost {
    steps: usize,
    /// Whether upper and lower case are alike in a part of the pattern, and the steps that it takes if so.
    folds: bool,
    folding: usize,
    /// What the outermost class in brackets has so far.
    ranges: usize,
    points: usize,
}

impl Cost {
    fn flags(&mut self, flags: &Flags) {
        let is_folding = |item: &FlagsItem| item.kind == FlagsItemKind::Flag(Flag::CaseInsensitive);
        self.folds |= flags.items.iter().any(is_folding);
    }

    fn add(&mut self, ranges: usize, points: usize) {
        self.ranges += ranges;
        self.points = (self.points + points).min(POINTS);
        // Those that are there are looked at again.
        self.steps += self.ranges / IN_A_STEP + 1;
    }

    fn table(&mut self, points: usize) {
        self.steps += TABLE;
        self.folding += points;
    }

    fn end_of_brackets(&mut self, class: &ClassBracketed) {
        self.steps += BRACKETS + self.ranges / IN_A_STEP;
        self.folding += self.points;
        if class.negated {
            self.points = POINTS;
        }
    }
}

/// Code points that are looked up of a class of Unicode, at most.
fn points_of(class: &ClassUnicode) -> usize {
    let is_small = match &class.kind {
        ClassUnicodeKind::OneLetter(letter) => "LMNPSZ".contains(*letter),
        ClassUnicodeKind::Named(name) => match name.as_bytes() {
            [b'L' | b'M' | b'N' | b'P' | b'S' | b'Z'] | [b'L' | b'M' | b'N' | b'P' | b'S' | b'Z', _] => true,
            name => name == b"Cc" || name == b"Cf",
        },
        ClassUnicodeKind::NamedValue { .. } => false,
    };
    if is_small && !class.negated { OF_A_CATEGORY } else { POINTS }
}

impl Visitor for Cost {
    type Output = usize;
    type Err = std::convert::Infallible;

    fn finish(self) -> Result<usize, Self::Err> {
        Ok(self.steps + if self.folds { self.folding } else { 0 })
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        match ast {
            Ast::Flags(set) => self.flags(&set.flags),
            Ast::Group(group) => {
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    self.flags(flags);
                }
            }
            Ast::ClassUnicode(class) => self.table(points_of(class)),
            Ast::ClassPerl(_) => self.table(POINTS),
            Ast::ClassBracketed(_) => (self.ranges, self.points) = (0, 0),
            _ => {}
        }
        Ok(())
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        if let Ast::ClassBracketed(class) = ast {
            self.end_of_brackets(class);
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Self::Err> {
        match item {
            ClassSetItem::Unicode(class) => {
                self.table(points_of(class));
                self.add(RANGES, points_of(class));
            }
            ClassSetItem::Perl(_) => {
                self.table(POINTS);
                self.add(RANGES, POINTS);
            }
            ClassSetItem::Ascii(class) if class.negated => self.add(8, POINTS),
            ClassSetItem::Ascii(_) => self.add(8, 128),
            ClassSetItem::Range(range) => {
                let points = (range.end.c as usize).saturating_sub(range.start.c as usize) + 1;
                self.add(1, points);
            }
            _ => self.add(1, 1),
        }
        Ok(())
    }

    fn visit_class_set_item_post(&mut self, item: &ClassSetItem) -> Result<(), Self::Err> {
        if let ClassSetItem::Bracketed(class) = item {
            self.end_of_brackets(class);
        }
        Ok(())
    }

    fn visit_class_set_binary_op_post(&mut self, _: &ClassSetBinaryOp) -> Result<(), Self::Err> {
        self.steps += TABLE + self.ranges / IN_A_STEP;
        // Both sides are folded.
        self.folding += 2 * self.points;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_to_read_costs_more() {
        let in_turn = ["abc", "[a-z]+", "(?i)[a-z]+", "\\p{L}", "[\\p{L}&&\\p{N}]", "(?i:\\p{L})", "(?i:\\P{L})", "(?i)[[^a]&&\\p{L}]"];
        let costs = in_turn.map(of);
        assert!(costs.is_sorted(), "{costs:?}");
        assert!(costs[2] < 1_000 && costs[3] > 5_000 && costs[5] > 40_000, "{costs:?}");
        assert!(of("(?x)( ?i)\\p{L}") > 40_000, "flags are found however they are written");
    }
}
