//! docs/layers.svg: a row for each layer, and across the rows the way of a call.

use std::fmt::Write;

const WIDTH: usize = 1000;
/// The left and the right end of the rows.
const LEFT: usize = 16;
const RIGHT: usize = WIDTH - LEFT;
/// The first row begins here.
const TOP: usize = 72;
/// Where names, and the sentences beside them, begin.
const NAMES: usize = 32;
const ROLES: usize = 152;
/// Where chips end, and about where a sentence of this many letters ends in a wide font.
const TEXT_END: usize = 548;
const COLUMNS: usize = 58;
const LINE: usize = 16;
const CHIP: usize = 26;
const GAP: usize = 8;
/// The first step of a call, and the distance from one step to the next.
const FIRST: usize = 572;
const STEP: usize = 31;
/// The radius of the bends of the way.
const BEND: usize = 6;

/// Everything stands on a ground of its own, so the text is legible on any page, whether or not its reader sees the dark
/// colours.
const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}
.name{font:bold 13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.step{font-size:11px;font-weight:bold;text-anchor:middle;fill:#fff}
.faint{fill:#59636e}
.middle{text-anchor:middle}
.ground{fill:#fff;stroke:#d1d9e0}
.row{fill:#f6f8fa;stroke:#d1d9e0}
.chip{fill:#fff;stroke:#b7c0c9}
.used{fill:#fff3e0;stroke:#bc6c0c}
.mark,.disc,.tip{fill:#bc6c0c}
.way{fill:none;stroke:#bc6c0c;stroke-width:2.5}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.step{fill:#0d1117}
.faint{fill:#9198a1}
.ground{fill:#0d1117;stroke:#30363d}
.row{fill:#161b22;stroke:#30363d}
.chip{fill:#21262d;stroke:#4a525b}
.used{fill:#3a2708;stroke:#e3a04a}
.mark,.disc,.tip{fill:#e3a04a}
.way{stroke:#e3a04a}
}";

/// A module, and the sentence that its file begins with.
pub struct Module {
    pub name: String,
    pub role: String,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Lines of at most so many characters.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        match line.chars().count() + 1 + word.chars().count() {
            _ if line.is_empty() => line.push_str(word),
            length if length <= columns => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

struct Picture<'a> {
    steps: &'a [String],
    svg: String,
    /// The middle of what each module is drawn as.
    middles: Vec<(String, usize)>,
}

impl Picture<'_> {
    fn is_on_the_way(&self, module: &Module) -> bool {
        self.steps.contains(&module.name)
    }

    fn row(&mut self, y: usize, height: usize) {
        let width = RIGHT - LEFT;
        writeln!(self.svg, r#"<rect class="row" x="{LEFT}" y="{y}" width="{width}" height="{height}" rx="6"/>"#)
            .unwrap();
    }

    /// A row of one module, with its role. Returns its height.
    fn single(&mut self, module: &Module, y: usize) -> usize {
        let lines = wrapped(&module.role, COLUMNS);
        let height = LINE * lines.len() + 18;
        let middle = y + height / 2;
        self.row(y, height);
        if self.is_on_the_way(module) {
            let (y, height) = (y + 6, height - 12);
            writeln!(self.svg, r#"<rect class="mark" x="20" y="{y}" width="4" height="{height}" rx="2"/>"#).unwrap();
        }
        let Module { name, .. } = module;
        writeln!(self.svg, r#"<text class="name" x="{NAMES}" y="{}">{name}</text>"#, middle + 5).unwrap();
        for (index, line) in lines.iter().enumerate() {
            let y = y + 21 + LINE * index;
            writeln!(self.svg, r#"<text x="{ROLES}" y="{y}">{}</text>"#, escaped(line)).unwrap();
        }
        self.middles.push((name.clone(), middle));
        height
    }

    /// A row of several modules. Returns its height.
    fn several(&mut self, modules: &[Module], y: usize) -> usize {
        let (mut x, mut top, mut chips) = (NAMES, y + 10, String::new());
        for module in modules {
            let Module { name, role } = module;
            let class = if self.is_on_the_way(module) { "used" } else { "chip" };
            let width = 20 + 8 * name.len();
            if x + width > TEXT_END {
                (x, top) = (NAMES, top + CHIP + GAP);
            }
            let (middle, text) = (top + CHIP / 2, top + CHIP / 2 + 5);
            writeln!(chips, r#"<g><title>{}</title>"#, escaped(role)).unwrap();
            writeln!(chips, r#"<rect class="{class}" x="{x}" y="{top}" width="{width}" height="{CHIP}" rx="6"/>"#)
                .unwrap();
            let begin = x + width / 2;
            writeln!(chips, r#"<text class="name middle" x="{begin}" y="{text}">{name}</text></g>"#).unwrap();
            self.middles.push((name.clone(), middle));
            x += width + GAP;
        }
        let height = top + CHIP + 10 - y;
        self.row(y, height);
        self.svg += &chips;
        height
    }

    fn way(&mut self) {
        let middle = |step: &String| self.middles.iter().find(|(name, _)| name == step).unwrap().1;
        let at: Vec<_> = self.steps.iter().enumerate().map(|(i, step)| (FIRST + STEP * i, middle(step))).collect();
        let (first, last) = (at[0], at[at.len() - 1]);
        let (begin, end) = (TOP - 28, TOP - 14);
        let mut way = format!("M{} {begin}V{}", first.0, first.1);
        for pair in at.windows(2) {
            way += &bent(pair[0], pair[1]);
        }
        // Short of the arrow's tip.
        write!(way, "V{}", end - 4).unwrap();
        writeln!(self.svg, r#"<path class="way" d="{way}"/>"#).unwrap();
        let (x, tip) = (last.0, begin);
        writeln!(self.svg, r#"<path class="tip" d="M{x} {tip}l6 11h-12z"/>"#).unwrap();
        for (index, (x, y)) in at.iter().enumerate() {
            writeln!(self.svg, r#"<circle class="disc" cx="{x}" cy="{y}" r="10"/>"#).unwrap();
            writeln!(self.svg, r#"<text class="step" x="{x}" y="{}">{}</text>"#, y + 4, index + 1).unwrap();
            if self.steps[index] == "imports" {
                let (x, y) = (x + 23, y + 5);
                writeln!(self.svg, r#"<text class="faint" x="{x}" y="{y}">the guest runs</text>"#).unwrap();
            }
        }
        for (x, word) in [(first.0, "request"), (last.0, "reply")] {
            writeln!(self.svg, r#"<text class="faint middle" x="{x}" y="{}">{word}</text>"#, begin - 8).unwrap();
        }
    }
}

/// The way from one step to the next: halfway to the right, up or down, and on to the right.
fn bent((x, y): (usize, usize), (next_x, next_y): (usize, usize)) -> String {
    if y == next_y {
        return format!("H{next_x}");
    }
    let middle = x.midpoint(next_x);
    let bend = BEND.min(y.abs_diff(next_y) / 2);
    let (left, right) = (middle - bend, middle + bend);
    let (leave, arrive) = if next_y > y { (y + bend, next_y - bend) } else { (y - bend, next_y + bend) };
    format!("H{left}Q{middle} {y} {middle} {leave}V{arrive}Q{middle} {next_y} {right} {next_y}H{next_x}")
}

/// The layers, the highest first, and the modules that a call comes through.
pub fn draw(layers: &[Vec<Module>], steps: &[String]) -> String {
    let mut picture = Picture { steps, svg: String::new(), middles: Vec::new() };
    let mut y = TOP;
    for layer in layers {
        let height = if let [module] = &layer[..] { picture.single(module, y) } else { picture.several(layer, y) };
        y += height + GAP;
    }
    picture.way();
    let (height, inner_width, inner_height) = (y + GAP, WIDTH - 1, y + GAP - 1);
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="The layers of the source from the highest to the lowest, and the layers that a call comes through">
<style>
{STYLE}
</style>
<rect class="ground" x=".5" y=".5" width="{inner_width}" height="{inner_height}" rx="10"/>
<text x="{LEFT}" y="32">A layer imports from the layers below it, never from those above.</text>
<text class="faint" x="{LEFT}" y="52">The line is one call: its {} steps, from left to right.</text>
{}</svg>
"#,
        steps.len(),
        picture.svg
    )
}
