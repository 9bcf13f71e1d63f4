//! A regular expression whose compiled size is bounded, and whose search of a long string can be ended.
//!
//! `regex` searches in one go, and at worst in time with the product of the program's size and the string's length. Where
//! that product is small it does so here as well. Otherwise a lazy automaton is driven byte by byte, each byte a step.

use crate::cost;
use crate::meter::{self, Reason};
use regex::{Regex, RegexBuilder};
use regex_automata::hybrid::dfa::DFA;
use regex_automata::util::start;
use std::sync::OnceLock;

/// Bytes of a pattern, as it is written.
pub const LONGEST: usize = 8 << 10;
/// Bytes of a compiled program: the sizes that are tried in turn.
const SIZES: [usize; 7] = [2 << 10, 8 << 10, 32 << 10, 128 << 10, 512 << 10, 2 << 20, 8 << 20];
/// Bytes of a state of a program, about.
const STATE: usize = 24;
/// States times bytes of a string that are searched in one go: some milliseconds at worst, and some tens of them where
/// there is no other way.
const AT_ONCE: usize = 1 << 22;
const AT_MOST: usize = 1 << 24;
/// Bytes of the states of an automaton that are kept: with the expression, and while one is driven here.
const KEPT: usize = 64 << 10;
const CACHE: usize = 256 << 10;

pub(crate) struct Pattern {
    regex: Regex,
    states: usize,
    /// Steps of making the automaton.
    cost: usize,
    automaton: OnceLock<Option<DFA>>,
}

/// Ends the work at a pattern that is longer than any is taken.
pub(crate) fn check_length(pattern: &str) {
    if pattern.len() > LONGEST {
        meter::end(Reason::Pattern);
    }
}

impl Pattern {
    pub fn new(pattern: &str) -> Result<Self, regex::Error> {
        let (mut last, reading) = (None, cost::of(pattern));
        for size in SIZES {
            let cost = size / 4 + reading;
            meter::spend(cost);
            let regex = RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(KEPT).build();
            match regex {
                Ok(regex) => {
                    // The memory that it keeps, and that it comes to keep.
                    meter::spend(size + KEPT / 8);
                    return Ok(Pattern { regex, states: size / STATE, cost, automaton: OnceLock::new() });
                }
                Err(error @ regex::Error::CompiledTooBig(_)) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or(regex::Error::CompiledTooBig(0)))
    }

    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    pub fn is_match(&self, text: &str) -> bool {
        meter::spend(text.len() / 16 + 4);
        let cost = self.states.saturating_mul(text.len());
        if cost <= AT_ONCE {
            return self.regex.is_match(text);
        }
        match self.searched(text.as_bytes()) {
            Some(is_match) => is_match,
            None if cost <= AT_MOST => self.regex.is_match(text),
            None => meter::end(Reason::Pattern),
        }
    }

    /// Whether the automaton finds a match, where it can tell.
    fn searched(&self, text: &[u8]) -> Option<bool> {
        let automaton = self.automaton.get_or_init(|| {
            meter::spend(self.cost);
            let config = DFA::config().cache_capacity(CACHE).skip_cache_capacity_check(true).unicode_word_boundary(true);
            DFA::builder().configure(config).build(self.as_str()).ok()
        });
        let automaton = automaton.as_ref()?;
        let mut cache = automaton.create_cache();
        let mut state = automaton.start_state(&mut cache, &start::Config::new()).ok()?;
        for byte in text {
            meter::spend(self.states / 64 + 1);
            state = automaton.next_state(&mut cache, state, *byte).ok()?;
            if state.is_match() || state.is_dead() {
                return Some(state.is_match());
            }
            if state.is_quit() {
                return None;
            }
        }
        Some(automaton.next_eoi_state(&mut cache, state).ok()?.is_match())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_automaton_finds_what_the_expression_finds() {
        for (pattern, text) in [
            ("^[A-Za-z0-9+/]*={0,2}$", "abc=="),
            ("^[A-Za-z0-9+/]*={0,2}$", "a=bc"),
            ("(a|b)*a(a|b){12}$", "abababbbabababaaab"),
            ("b", "aaaaab"),
            ("", ""),
            ("^$", "a"),
            ("\\bword\\b", "a word, and"),
            ("ü+$", "ööüü"),
            ("a(?:x|y)?$", "bax"),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            assert_eq!(pattern.searched(text.as_bytes()), Some(pattern.regex.is_match(text)), "{}", pattern.as_str());
        }
    }
}
