//! `examples/love2d`: the game runs for fifteen seconds under Xvfb, with Mesa's software renderer. Meanwhile its enemies'
//! brain is replaced six times, and one that is a script is edited.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{root, target_directory};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const FRAMES: u32 = 900;
/// In how many of them the library may take more than a frame has, and less than two.
const RARELY: f64 = 2.0;
const BRAINS: [&str; 3] = ["chaser", "flock", "stuck"];

/// An X server without a screen, which ends with this.
struct Xvfb(Child, String);

impl Xvfb {
    fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut number).unwrap();
        Xvfb(server, format!(":{}", number.trim()))
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_missing(tool: &str, argument: &str, package: &str) -> bool {
    let missing = Command::new(tool).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_err();
    assert!(!missing || std::env::var_os("CI").is_none(), "{tool} is missing: apt install {package}");
    if missing {
        println!("skipped: examples/love2d; apt install {package}, or your system's like");
    }
    missing
}

/// Plays, by the command that the game's first comment gives; what it prints, and where its save directory is.
fn play() -> (TempDir, String) {
    // In memory where that can be: a busy disk takes seconds to have a brain's file and the catalog on it.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    let directory = tempfile::tempdir_in(place).unwrap();
    let home = directory.path();
    for name in ["libarawn.so", "libarawn.so.0"] {
        symlink(target_directory().join("libarawn.so"), home.join(name)).unwrap();
    }
    let display = Xvfb::start();
    // LÖVE shows an error in its window and waits, which the game does not; the limit is for what nobody foresaw.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "240", "make", "--silent", "example-love2d"]);
    command.arg(format!("LIB={}", home.display())).current_dir(root());
    for inherited in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "WAYLAND_DISPLAY"] {
        command.env_remove(inherited);
    }
    command.env("DISPLAY", &display.1).env("LIBGL_ALWAYS_SOFTWARE", "1").env("SDL_VIDEODRIVER", "x11");
    command.env("XDG_DATA_HOME", home).env("XDG_CACHE_HOME", home).env("ARAWN_FRAMES", FRAMES.to_string());
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    let printed = stdout.into_owned();
    println!("{printed}");
    (directory, printed)
}

fn number_after(printed: &str, words: &str) -> f64 {
    let (_, rest) = printed.split_once(words).unwrap_or_else(|| panic!("no `{words}` in\n{printed}"));
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end].parse().unwrap()
}

/// Whether the library, with its binding and the host functions, made frames late. What a hypervisor took nobody can account
/// for: that is rare, and short beside what a call that compiles or blocks would take.
fn is_late(printed: &str) -> bool {
    number_after(printed, "by libarawn alone: ") > RARELY
        || number_after(printed, "libarawn: the slowest took ") >= 33.0
}

/// The lines without their figures, and without the histograms.
fn shape(lines: impl Iterator<Item = String>) -> Vec<String> {
    let lines = lines.filter(|line| !line.starts_with("    "));
    lines.map(|line| line.replace(|c: char| c.is_ascii_digit() || c == '.', "")).collect()
}

/// An uncompressed picture of 32 bits a pixel: the size, and how often each colour is there.
fn colours(tga: &[u8]) -> (u16, u16, HashMap<[u8; 4], usize>) {
    assert_eq!((tga[2], tga[16]), (2, 32), "not a TGA of that kind");
    let size = |at: usize| u16::from_le_bytes([tga[at], tga[at + 1]]);
    let (width, height) = (size(12), size(14));
    let pixels = tga[18 + usize::from(tga[0])..].chunks_exact(4).take(usize::from(width) * usize::from(height));
    let mut colours = HashMap::new();
    for pixel in pixels {
        *colours.entry(<[u8; 4]>::try_from(pixel).unwrap()).or_default() += 1;
    }
    (width, height, colours)
}

#[test]
fn nine_hundred_frames_are_drawn_and_none_is_late_because_of_the_library() {
    let tools = [("love", "--version", "love"), ("Xvfb", "-help", "xvfb")];
    if tools.iter().any(|(tool, argument, package)| is_missing(tool, argument, package)) {
        return;
    }
    // Drawing may take longer than a frame has, on a busy machine without a graphics processor, so that frames are
    // counted and shown. What of a frame the library takes, with its binding and the host functions, is measured by
    // itself, without the time in which others had the processor as far as the system knows. The best of three plays.
    let (mut home, mut printed) = play();
    for _ in 0..2 {
        if is_late(&printed) {
            (home, printed) = play();
        }
    }
    assert!(!is_late(&printed), "{printed}");
    assert!(printed.contains(&format!("\n{FRAMES} frames in ")), "{printed}");

    let source = fs::read_to_string(root().join("examples/love2d/main.lua")).unwrap();
    let comment =
        source.lines().map_while(|line| line.strip_prefix("--")).filter_map(|line| line.strip_prefix("     "));
    let mut told = comment.map(str::to_owned);
    assert_eq!(told.next().as_deref(), Some("make example-love2d"));
    let own = printed.lines().filter(|line| !line.starts_with("frame ")).map(str::to_owned);
    assert_eq!(shape(own), shape(told), "{printed}");

    // Each was learnt, in this order, and has decided before the next one was asked for; the one that thinks forever
    // has met its deadline instead, and the frames went on.
    let learnt: Vec<&str> =
        printed.lines().filter_map(|line| line.strip_prefix("frame ")?.split(": ").nth(1)).collect();
    // What was saved as the guard's script has decided. What does not parse has not, and was shown until it was mended.
    let edits = ["guard edited", "guard broken guard.lua:11:8", "guard mended"];
    let expected = [&["chaser", "flock", "stuck", "guard"][..], &edits, &["moth", "moth.js", "chaser"]].concat();
    assert_eq!(learnt, expected, "{printed}");
    let decisions = printed.lines().find(|line| line.starts_with("decisions: ")).unwrap();
    for brain in ["chaser", "flock", "guard", "moth", "moth.js"] {
        assert!(number_after(decisions, &format!("{brain} ")) > 30.0, "{printed}");
    }
    assert!(!decisions.contains("stuck") && number_after(&printed, "timeout ") > 4.0, "{printed}");
    // None of the calls that began after a brain was replaced was answered by an older one.
    assert_eq!(number_after(&printed, "stale "), 0.0, "{printed}");

    let picture = fs::read(home.path().join("love/arawn-hunt/screenshot.tga")).unwrap();
    let (width, height, colours) = colours(&picture);
    assert_eq!((width, height), (960, 540));
    let count = |rgb: [f64; 3]| {
        let near = |pixel: &[u8; 4]| (0..3).all(|i| (f64::from(pixel[2 - i]) - rgb[i] * 255.0).abs() < 1.5);
        colours.iter().filter(|(pixel, _)| near(pixel)).map(|(_, count)| count).sum::<usize>()
    };
    let (ground, walls, enemies) = (count([0.09, 0.1, 0.13]), count([0.3, 0.34, 0.42]), count([0.95, 0.35, 0.3]));
    // Ten walls of 20 pixels by about 160; eight enemies of a radius of 9, without their eyes, and one upon the other.
    assert!(ground > 400_000 && (25_000..40_000).contains(&walls) && (200..3000).contains(&enemies), "{colours:?}");
}

#[test]
fn without_a_display_it_says_so() {
    if is_missing("love", "--version", "love") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    for (display, reason) in [(None, "neither DISPLAY nor WAYLAND_DISPLAY is set"), (Some(":4242"), "")] {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "240", "love"]).arg(root().join("examples/love2d"));
        for inherited in ["DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"] {
            command.env_remove(inherited);
        }
        command.envs(display.map(|display| ("DISPLAY", display))).env("ARAWN_FRAMES", "1");
        command.env("XDG_DATA_HOME", home.path()).env("XDG_CACHE_HOME", home.path());
        command.env("ARAWN_LIBRARY", target_directory().join("libarawn.so"));
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{display:?}: {stderr}");
        assert!(stderr.contains(&format!("There is no display for the game: {reason}")), "{display:?}: {stderr}");
        assert!(stderr.contains("xvfb-run has one."), "{display:?}: {stderr}");
    }
}

/// `runtimes/guests/build.sh`, which the tests' `make guests` runs, builds them elsewhere.
#[test]
fn the_committed_brains_are_what_their_sources_give() {
    for brain in BRAINS {
        let name = format!("{brain}.wasm");
        let built = root().join("target/guests").join(&name);
        let Ok(built) = fs::read(&built) else {
            assert!(std::env::var_os("CI").is_none(), "{} is missing: make guests", built.display());
            println!("skipped, {} is missing: make guests", built.display());
            continue;
        };
        let committed = root().join("examples/love2d/brains").join(&name);
        let same = fs::read(&committed).unwrap() == built;
        assert!(same, "they differ: make guests && cp target/guests/{name} examples/love2d/brains/");
    }
}
