use super::*;
use roxmltree::{Document, Node};

fn step(name: &str, needs: &[&'static str], state: State, started_us: u64, ended_us: u64) -> StepRun {
    let step = StepRun::new(name, "passthrough", needs.iter().copied());
    StepRun { state, started_us, ended_us, ..step }
}

fn parsed(svg: &str) -> Document<'_> {
    Document::parse(svg).unwrap_or_else(|error| panic!("{error}\n{svg}"))
}

/// The elements with a class.
fn of_class<'a>(document: &'a Document<'_>, class: &str) -> Vec<Node<'a, 'a>> {
    document.root().descendants().filter(|node| node.attribute("class") == Some(class)).collect()
}

fn number(node: Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

#[test]
fn a_bar_is_as_long_as_its_step_took() {
    let steps = [step("a", &[], State::Done, 0, 100), step("b", &["a"], State::Done, 100, 400)];
    let svg = svg(&steps, 400);
    let document = parsed(&svg);
    let bars = of_class(&document, "done");
    let [a, b] = bars[..] else { panic!("{svg}") };
    assert_eq!(number(b, "width"), 3.0 * number(a, "width"));
    assert!((number(a, "x") + number(a, "width") - number(b, "x")).abs() < 0.2, "{svg}");
    assert_eq!(of_class(&document, "needs").len(), 1);
    let texts: Vec<&str> = of_class(&document, "faint middle").iter().filter_map(Node::text).collect();
    assert_eq!(texts, ["0 µs", "100 µs", "200 µs", "300 µs", "400 µs"]);
}

#[test]
fn a_row_has_the_figures_of_its_step() {
    let mut each = step("each", &[], State::Done, 0, 12_345);
    (each.cache, each.tries, each.items) = (Some("disk".to_owned()), Some(3), Some(2));
    let svg = svg(&[each], 12_345);
    assert!(svg.contains(">12.3 ms · disk</text>") && svg.contains(">3 tries · 2 items</text>"), "{svg}");
    assert!(svg.contains("<title>each: passthrough, 12.3 ms, disk, 3 tries, 2 items</title>"), "{svg}");
    assert!(svg.contains(">1 step in 12.3 ms</text>"), "{svg}");
}

#[test]
fn the_failed_the_stopped_and_the_missing_step_have_colours_of_their_own() {
    let steps = [
        step("a", &[], State::Done, 0, 10),
        step("b", &["a"], State::Failed, 10, 20),
        step("c", &["a"], State::Stopped, 10, 20),
        step("d", &["b", "c"], State::NotRun, 0, 0),
    ];
    let svg = svg(&steps, 20);
    let document = parsed(&svg);
    let count = |class| of_class(&document, class).len();
    assert_eq!(["done", "failed", "stopped", "not-run", "needs"].map(count), [1, 1, 1, 1, 4]);
    assert!(svg.contains(">step b failed after 20 µs</text>"), "{svg}");
    let (failed, missing) = (of_class(&document, "failed")[0], of_class(&document, "not-run")[0]);
    assert!(number(missing, "x") >= number(failed, "x") + number(failed, "width"), "{svg}");
}

#[test]
fn what_was_not_run_at_all_is_a_picture_too() {
    let steps = [step("a", &[], State::NotRun, 0, 0), step("b", &["a"], State::NotRun, 0, 0)];
    let svg = svg(&steps, 0);
    let document = parsed(&svg);
    assert_eq!((of_class(&document, "not-run").len(), of_class(&document, "grid").len()), (2, 0));
    assert!(svg.contains(">2 steps, not run</text>"), "{svg}");
}

#[test]
fn each_class_that_is_used_has_a_style() {
    let states = [State::Given, State::Done, State::Failed, State::Stopped, State::NotRun];
    let svg = svg(&states.map(|state| step(class(state), &[], state, 0, 0)), 10);
    let document = parsed(&svg);
    let style = document.descendants().find(|node| node.has_tag_name("style")).and_then(|node| node.text());
    for class in
        document.root().descendants().filter_map(|node| node.attribute("class")).flat_map(str::split_whitespace)
    {
        assert!(style.is_some_and(|style| style.contains(&format!("\n.{class}{{"))), "{class}");
    }
}

#[test]
fn names_cannot_break_out_of_the_text() {
    let name = "</text><script>alert(1)</script>&\"'\u{1}\u{ffff}";
    let mut steps = [step(name, &[], State::Failed, 0, 1)];
    steps[0].runtime = name.to_owned();
    let svg = svg(&steps, 1);
    let document = parsed(&svg);
    assert!(document.descendants().all(|node| !node.has_tag_name("script")));
    let tooltip = document.descendants().find(|node| node.tag_name().name() == "title").and_then(|node| node.text());
    let shown = name.replace(['\u{1}', '\u{ffff}'], "\u{fffd}");
    assert_eq!(tooltip, Some(&*format!("{shown}: {shown}, failed, 1 µs")));
}

#[test]
fn a_long_name_is_cut_and_whole_in_the_tooltip() {
    let name = "ö".repeat(LONGEST + 1);
    let svg = svg(&[step(&name, &[], State::Done, 0, 1)], 1);
    assert!(svg.contains(&format!(">{}…</text>", "ö".repeat(LONGEST))), "{svg}");
    assert!(svg.contains(&format!("<title>{name}: ")), "{svg}");
    assert_eq!(cut(&"日".repeat(20)), "日".repeat(14) + "…");
}
