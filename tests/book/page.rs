//! A page of the book: its fenced code blocks, and what the HTML comment above a block says of it.
//!
//! | comment | the block |
//! | --- | --- |
//! | `file: NAME` | is a file of the reader's |
//! | `source: PATH` | is a file of the repository, byte for byte, and the reader's copy of it |
//! | `part: PATH` | is a part of a file of the repository |
//! | `run` | is commands of a shell; the `text` block that follows is what they print |
//! | `call: FUNCTION` | is the request of a function of the header; the `json` block that follows is the reply |
//! | `not run: REASON` | is not run |
//!
//! `guest: NAME` stands above no block: the reader has `target/guests/NAME.wasm` as `NAME.wasm`. In what is printed and
//! answered, `…` stands for any text.

use std::fs;
use std::path::{Path, PathBuf};

/// A fenced code block.
#[derive(Debug)]
pub struct Block {
    /// The comment above it, without its marks; empty where there is none.
    pub mark: String,
    pub language: String,
    pub text: String,
}

/// What a reader does on a page, in the page's order.
#[derive(Debug)]
pub enum Step {
    File { name: String, text: String },
    Source { path: String, text: String },
    Part { path: String, text: String },
    Guest(String),
    Run { commands: String, printed: Option<String> },
    Call { function: String, request: String, reply: Option<String> },
}

#[derive(Debug)]
pub struct Page {
    pub path: PathBuf,
    pub steps: Vec<Step>,
    /// Blocks of which nothing is said.
    pub unmarked: Vec<Block>,
}

impl Page {
    pub fn read(path: &Path) -> Page {
        Page::of(path, &text(path))
    }

    /// What is below each heading of the second level, by the heading.
    #[allow(dead_code, reason = "each test file uses a part")]
    pub fn sections(path: &Path) -> Vec<(String, Page)> {
        let text = text(path);
        let sections = text.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
        sections.map(|(heading, text)| (heading.to_owned(), Page::of(path, text))).collect()
    }

    fn of(path: &Path, text: &str) -> Page {
        let (mut steps, mut unmarked) = (Vec::new(), Vec::new());
        let mut blocks = blocks(text).into_iter().peekable();
        while let Some(Block { mark, language, text }) = blocks.next() {
            let (word, value) = mark.split_once(": ").unwrap_or((&mark, ""));
            let value = value.to_owned();
            let mut answer = |language: &str| {
                let follows = blocks.peek().is_some_and(|next| next.mark.is_empty() && next.language == language);
                follows.then(|| blocks.next().map(|next| next.text)).flatten()
            };
            match word {
                "file" => steps.push(Step::File { name: value, text }),
                "source" => steps.push(Step::Source { path: value, text }),
                "part" => steps.push(Step::Part { path: value, text }),
                "guest" => steps.push(Step::Guest(value)),
                "run" => steps.push(Step::Run { commands: text, printed: answer("text") }),
                "call" => steps.push(Step::Call { function: value, request: text, reply: answer("json") }),
                "not run" => {}
                "" => unmarked.push(Block { mark, language, text }),
                _ => panic!("{}: the comment `{mark}` is unknown", path.display()),
            }
        }
        Page { path: path.to_owned(), steps, unmarked }
    }

    /// Its requests of one function, each with its reply.
    #[allow(dead_code, reason = "each test file uses a part")]
    pub fn calls<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        self.steps.iter().filter_map(move |step| match step {
            Step::Call { function, request, reply } if function == name => Some((request.as_str(), reply.as_deref())),
            _ => None,
        })
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks, and a block without text for each `guest`.
fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut mark) = (Vec::new(), String::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| *line != "```").map(|line| line.to_owned() + "\n").collect();
            blocks.push(Block { mark: std::mem::take(&mut mark), language: language.to_owned(), text });
        } else if let Some(comment) = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->")) {
            comment.clone_into(&mut mark);
            if mark.starts_with("guest: ") {
                blocks.push(Block { mark: std::mem::take(&mut mark), language: String::new(), text: String::new() });
            }
        }
    }
    blocks
}

/// JSON without the white space between its parts.
pub fn compact(json: &str) -> String {
    let (mut is_string, mut is_escaped) = (false, false);
    let is_kept = |c: &char| {
        let quote = *c == '"' && !is_escaped;
        is_escaped = is_string && *c == '\\' && !is_escaped;
        is_string ^= quote;
        is_string || quote || !c.is_whitespace()
    };
    json.chars().filter(is_kept).collect()
}

/// Whether `text` is what `shown` says, in which `…` stands for any text.
pub fn fits(shown: &str, text: &str) -> bool {
    let Some((first, rest)) = shown.split_once('…') else { return shown == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(last)
}
