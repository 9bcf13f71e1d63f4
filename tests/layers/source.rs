//! Which file of `src` imports from which, read from the text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module by its path from the crate's root, whose own is empty.
pub type Module = Vec<String>;

/// Where a file names something of another one: the line, and the name as it stands there.
pub type Places = Vec<(usize, String)>;

pub struct Source {
    files: BTreeMap<Module, File>,
    imports: BTreeMap<Module, BTreeMap<Module, Places>>,
}

#[derive(Default)]
struct File {
    /// The names that it defines.
    defines: BTreeSet<String>,
    /// The paths that its `use` lines name, by what they are called here.
    uses: Vec<(String, String, usize)>,
    /// Other paths.
    paths: Vec<(String, usize)>,
}

pub fn path_of(module: &[String]) -> String {
    if module.is_empty() { "src/lib.rs".to_owned() } else { format!("src/{}.rs", module.join("/")) }
}

fn each_file(directory: &Path, found: &mut Vec<(String, String)>, root: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, found, root);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn all() -> Vec<(String, String)> {
    let (root, mut found) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), Vec::new());
    each_file(&root, &mut found, &root);
    found
}

impl Source {
    pub fn read() -> Self {
        let all = all();
        Self::of(&all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
    }

    /// The lines of each file.
    pub fn lengths() -> Vec<(String, usize)> {
        all().into_iter().map(|(name, text)| (name, text.lines().count())).collect()
    }

    /// The code of each file but tests, without comments, without what is in strings and without tests.
    #[allow(dead_code, reason = "tests/source/system.rs uses it")]
    pub fn code() -> Vec<(String, String)> {
        let is_test = |name: &str| name.split(['/', '.']).any(|part| part == "tests");
        let code = |text: &str| without_tests(&without_comments_and_strings(text));
        all().into_iter().filter(|(name, _)| !is_test(name)).map(|(name, text)| (name, code(&text))).collect()
    }

    pub fn of(files: &[(&str, &str)]) -> Self {
        let module = |name: &str| -> Module {
            let name = name.trim_end_matches(".rs");
            if name == "lib" { Vec::new() } else { name.split('/').map(str::to_owned).collect() }
        };
        let files = files.iter().map(|(name, text)| (module(name), File::of(text)));
        let files = files.filter(|(module, _)| !module.iter().any(|part| part == "tests")).collect();
        let mut source = Source { files, imports: BTreeMap::new() };
        let imports = source.modules().map(|module| (module.clone(), source.imports_of(module)));
        source.imports = imports.collect();
        source
    }

    /// All but the root, which hands on what is public.
    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.files.keys().filter(|module| !module.is_empty())
    }

    /// The files from which one imports, and where.
    pub fn imports(&self, module: &[String]) -> &BTreeMap<Module, Places> {
        &self.imports[module]
    }

    fn imports_of(&self, module: &[String]) -> BTreeMap<Module, Places> {
        let file = &self.files[module];
        let mut found = BTreeMap::<Module, Places>::new();
        let mut note = |path: &str, line: usize| {
            if let Some(defined) = self.resolve(module, path, &mut Vec::new())
                && defined != module
            {
                found.entry(defined).or_default().push((line, path.to_owned()));
            }
        };
        for (_, path, line) in &file.uses {
            // A module's own name imports nothing yet: what is taken from it is an inline path.
            if !self.is_module(module, path) {
                note(path, *line);
            }
        }
        for (path, line) in &file.paths {
            let (first, rest) = path.split_once("::").unwrap();
            match file.uses.iter().find(|(name, ..)| name == first) {
                Some((_, used, _)) => note(&format!("{used}::{rest}"), *line),
                None => note(path, *line),
            }
        }
        found
    }

    fn is_module(&self, from: &[String], path: &str) -> bool {
        let name = path.rsplit("::").next().unwrap();
        match self.resolve(from, path, &mut Vec::new()) {
            Some(module) => {
                module.last().is_some_and(|last| last == name) && !self.files[&module].defines.contains(name)
            }
            None => false,
        }
    }

    /// The file that defines what a path names; none where that is foreign.
    fn resolve(&self, from: &[String], path: &str, seen: &mut Vec<(Module, String)>) -> Option<Module> {
        let step = (from.to_vec(), path.to_owned());
        if seen.contains(&step) {
            return None;
        }
        seen.push(step);
        let mut parts = path.split("::").peekable();
        let mut at = from.to_vec();
        match *parts.peek()? {
            "crate" => {
                at.clear();
                parts.next();
            }
            "super" | "self" => {
                while let Some(part) = parts.next_if(|part| ["super", "self"].contains(part)) {
                    if part == "super" {
                        at.pop();
                    }
                }
            }
            first if self.child(&at, first).is_none() => return self.renamed(&at, first, parts.skip(1), seen),
            _ => {}
        }
        while let Some(part) = parts.next() {
            let file = self.files.get(&at)?;
            if file.defines.contains(part) && parts.peek().is_none() {
                return Some(at);
            }
            if let Some(child) = self.child(&at, part) {
                at = child;
                continue;
            }
            if file.defines.contains(part) {
                return Some(at);
            }
            return match file.uses.iter().any(|(name, ..)| name == part) {
                true => self.renamed(&at, part, parts, seen),
                false => Some(at),
            };
        }
        Some(at)
    }

    /// The file that defines what is behind a name by which a file has imported something.
    fn renamed<'a>(
        &self,
        at: &[String],
        name: &str,
        rest: impl Iterator<Item = &'a str>,
        seen: &mut Vec<(Module, String)>,
    ) -> Option<Module> {
        let (_, path, _) = self.files.get(at)?.uses.iter().find(|(used, ..)| used == name)?;
        self.resolve(at, &rest.fold(path.clone(), |path, part| format!("{path}::{part}")), seen)
    }

    fn child(&self, module: &[String], name: &str) -> Option<Module> {
        let child = [module, &[name.to_owned()]].concat();
        self.files.contains_key(&child).then_some(child)
    }
}

impl File {
    fn of(text: &str) -> Self {
        let text = without_tests(&without_comments_and_strings(text));
        let mut file = File::default();
        let words: Vec<(usize, &str)> = words(&text).collect();
        for pair in words.windows(2) {
            let kinds = ["fn", "struct", "enum", "trait", "const", "static", "type", "union", "macro_rules"];
            if kinds.contains(&pair[0].1) {
                file.defines.insert(pair[1].1.to_owned());
            }
            if pair[0].1 == "static" && pair[1].1 == "mut" {
                panic!("a `static mut`");
            }
        }
        let line_of = |at: usize| text[..at].matches('\n').count() + 1;
        let mut rest = text.clone();
        for (at, _) in words.iter().filter(|(_, word)| *word == "use") {
            // `use<'a>` is a bound.
            let Some(tree) = text[at + 3..].split(';').next().filter(|tree| tree.starts_with(char::is_whitespace))
            else {
                continue;
            };
            let mut paths = Vec::new();
            expand("", tree, &mut paths);
            file.uses.extend(paths.into_iter().map(|(name, path)| (name, path, line_of(*at))));
            rest.replace_range(*at..at + 3 + tree.len(), &" ".repeat(3 + tree.len()));
        }
        let mut end = 0;
        for (at, _) in words_of(&rest) {
            if at < end {
                continue;
            }
            let path: String = rest[at..].chars().take_while(|c| is_of_word(*c) || *c == ':').collect();
            end = at + path.len();
            let path = path.trim_end_matches(':');
            if path.contains("::") && !rest[..at].ends_with(':') {
                file.paths.push((path.to_owned(), line_of(at)));
            }
        }
        file
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words, and where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let parts = text.split(|c: char| !is_of_word(c)).filter(|word| !word.is_empty());
    parts.map(|word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

fn words_of(text: &str) -> Vec<(usize, &str)> {
    words(text).collect()
}

/// The paths of a tree of imports, each with the name that it has here.
fn expand(before: &str, tree: &str, paths: &mut Vec<(String, String)>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let (path, name) =
            tree.split_once(" as ").map_or((tree, None), |(path, name)| (path.trim(), Some(name.trim())));
        let path = [before, path].concat();
        let path = path.strip_suffix("::self").unwrap_or(&path);
        let name = name.or(path.rsplit("::").next()).unwrap_or_default();
        return paths.push((name.to_owned(), path.to_owned()));
    };
    let before = [before, &tree[..open]].concat();
    let (mut depth, mut begin) = (0, open + 1);
    for (at, c) in tree.char_indices().skip(open + 1) {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                if !tree[begin..at].trim().is_empty() {
                    expand(&before, &tree[begin..at], paths);
                }
                begin = at + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The text with blanks for comments and what is in strings.
fn without_comments_and_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' => {
                // A raw string ends with as many signs as it began with.
                let is_raw = out.trim_end_matches('#').ends_with('r') && (out.ends_with('#') || last == 'r');
                let signs = if is_raw { out.len() - out.trim_end_matches('#').len() } else { 0 };
                while let Some(c) = chars.next() {
                    match c {
                        '\n' => out.push('\n'),
                        '\\' if !is_raw => out.extend(chars.next().filter(|c| *c == '\n')),
                        '"' if chars.clone().take(signs).filter(|c| *c == '#').count() == signs => break,
                        _ => {}
                    }
                }
                (0..signs).for_each(|_| {
                    chars.next();
                });
                out.push(' ');
            }
            // A character, not a lifetime.
            '\'' => {
                let mut ahead = chars.clone();
                let (first, second) = (ahead.next(), ahead.next());
                if first == Some('\\') {
                    chars.next();
                    chars.next();
                    while chars.next_if(|c| *c != '\'').is_some() {}
                    chars.next();
                } else if second == Some('\'') {
                    chars.next();
                    chars.next();
                }
                out.push(' ');
            }
            _ => out.push(c),
        }
        last = c;
    }
    out
}

/// The text with blank lines for what is compiled for tests alone.
fn without_tests(text: &str) -> String {
    let mut text = text.to_owned();
    let mut from = 0;
    while let Some(found) = text[from..].find("#[cfg(") {
        let begin = from + found;
        let condition_end = begin + text[begin..].find(']').unwrap();
        from = condition_end;
        let condition = &text[begin..condition_end];
        if !words(condition).any(|(_, word)| word == "test") || condition.contains("not(test") {
            continue;
        }
        let end = item_end(&text, condition_end + 1);
        let lines = "\n".repeat(text[begin..end].matches('\n').count());
        text.replace_range(begin..end, &lines);
        from = begin;
    }
    text
}

/// Where the item ends that begins here, attributes included.
fn item_end(text: &str, begin: usize) -> usize {
    let mut depth = 0;
    for (at, c) in text[begin..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth -= 1;
                if depth == 0 && c == '}' {
                    return begin + at + 1;
                }
            }
            ';' if depth == 0 => return begin + at + 1,
            _ => {}
        }
    }
    text.len()
}
