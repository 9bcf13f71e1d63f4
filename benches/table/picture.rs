//! Microseconds a call against the size of the input, both by decades.

use std::fmt::Write;

/// Name and colour of each way, in the order of a curve's columns.
const WAYS: [(&str, &str); 4] = [
    ("bare floor", "#767676"),
    ("libarawn", "#0b6e4f"),
    ("the obvious way", "#b5482f"),
    ("a process (cat)", "#3b5b92"),
];

/// The plot inside the picture, in pixels.
const LEFT: f64 = 80.0;
const TOP: f64 = 20.0;
const WIDTH: f64 = 500.0;
const HEIGHT: f64 = 340.0;

/// The range of both axes, as powers of ten: 10 B to 10 MB, 1 µs to 100 ms.
const SIZES: (f64, f64) = (1.0, 6.5);
const TIMES: (f64, f64) = (0.0, 5.0);

const BEGIN: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 420" font-family="sans-serif" font-size="13">
<rect width="740" height="420" fill="#ffffff"/>
"##;

pub fn draw(curve: &[(usize, [f64; 4])]) -> String {
    let x = |size: f64| LEFT + WIDTH * (size.log10() - SIZES.0) / (SIZES.1 - SIZES.0);
    let y = |us: f64| TOP + HEIGHT * (1.0 - (us.log10() - TIMES.0) / (TIMES.1 - TIMES.0));
    let (right, bottom) = (LEFT + WIDTH, TOP + HEIGHT);
    let mut svg = BEGIN.to_owned();
    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        let _ = writeln!(svg, r##"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="#dddddd"/>"##);
    };
    let times = [(1.0, "1 µs"), (10.0, "10 µs"), (100.0, "100 µs"), (1e3, "1 ms"), (1e4, "10 ms"), (1e5, "100 ms")];
    let sizes =
        [(42.0, "42 B"), (1024.0, "1 KiB"), (16384.0, "16 KiB"), (262_144.0, "256 KiB"), (1_048_576.0, "1 MiB")];
    times.iter().for_each(|(us, _)| line(LEFT, y(*us), right, y(*us)));
    sizes.iter().for_each(|(size, _)| line(x(*size), TOP, x(*size), bottom));
    let mut label = |x: f64, y: f64, anchor: &str, colour: &str, text: &str| {
        let _ = writeln!(svg, r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}">{text}</text>"##);
    };
    times.iter().for_each(|(us, text)| label(LEFT - 8.0, y(*us) + 4.0, "end", "#333333", text));
    sizes.iter().for_each(|(size, text)| label(x(*size), bottom + 18.0, "middle", "#333333", text));
    label(LEFT + WIDTH / 2.0, bottom + 42.0, "middle", "#333333", "size of the input");
    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (index, _) in WAYS.iter().enumerate() {
        ends.extend(curve.last().map(|(_, us)| (y(us[index]), index)));
    }
    // Names beside the ends of their lines, moved apart where those meet.
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::NEG_INFINITY;
    for (end, index) in ends {
        lowest = end.max(lowest + 16.0);
        label(right - 12.0, lowest + 4.0, "start", WAYS[index].1, WAYS[index].0);
    }
    for (index, (_, colour)) in WAYS.iter().enumerate() {
        let points: Vec<String> =
            curve.iter().map(|(size, us)| format!("{:.1},{:.1}", x(*size as f64), y(us[index]))).collect();
        let points = points.join(" ");
        let _ = writeln!(svg, r##"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>"##);
    }
    svg + "</svg>\n"
}
