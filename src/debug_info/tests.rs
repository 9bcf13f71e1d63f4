#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use super::budget::SearchBudget;
use super::sections::{self, ModuleSections};
use super::{DebugInfo, SourceLocation};
use gimli::SectionId;
use std::time::{Duration, Instant};

/// Two units, of DWARF 4 and 5. The source is beside the file.
const TRAPS: &[u8] = include_bytes!("../../tests/lines/traps.wasm");

fn info() -> DebugInfo {
    DebugInfo { modules: sections::read(TRAPS, TRAPS.len() as u64).unwrap() }
}

fn full() -> SearchBudget {
    SearchBudget::full(Instant::now() + Duration::from_secs(3600))
}

/// The places of all offsets of the code, and the steps that finding them took.
fn all_places(info: &DebugInfo) -> (Vec<Vec<SourceLocation>>, u64) {
    let code = info.modules[0].code.clone();
    let (mut budget, offsets) = (full(), code.map(Some).collect::<Vec<_>>());
    let before = budget.left();
    (info.places(&offsets, &mut budget), before - budget.left())
}

/// The line number of the line in `source` that has the comment `line: name`.
fn line_of(source: &str, name: &str) -> u64 {
    let comment = format!("/* line: {name} */");
    source.lines().position(|line| line.contains(&comment)).unwrap() as u64 + 1
}

#[test]
fn each_place_of_the_source_is_found_with_what_is_inlined_around_it() {
    let (places, _) = all_places(&info());
    let traps = include_str!("../../tests/lines/traps.c");
    let start = |name| ("traps.c", line_of(traps, name), None);
    let parse = line_of(include_str!("../../tests/lines/parse.c"), "parse");
    for expected in [
        vec![("parse.c", parse, None)],
        vec![start("spin")],
        vec![start("parses")],
        vec![
            ("traps.c", line_of(traps, "checked"), Some("checked")),
            ("traps.c", line_of(traps, "twice"), Some("twice")),
            start("start"),
        ],
    ] {
        let is_it = |places: &Vec<SourceLocation>| {
            let found = places.iter().map(|place| (&*place.file, place.line, place.inlined.as_deref()));
            found.eq(expected.iter().copied()) && places.iter().all(|place| place.column > 0)
        };
        assert!(places.iter().any(is_it), "{expected:?} is not in {places:#?}");
    }
}

#[test]
fn a_file_is_not_read_whose_sections_are_too_large_or_missing() {
    let read = |wasm: &[u8]| sections::read(wasm, wasm.len() as u64);
    let with = |size: u32| {
        let mut wasm = TRAPS.to_vec();
        let name = b"\x0b.debug_addr";
        // A custom section whose size takes five bytes. If several sections have one name, the first counts.
        let bytes = size + name.len() as u32;
        wasm.splice(
            8..8,
            [0, bytes as u8 | 0x80, (bytes >> 7) as u8 | 0x80, (bytes >> 14) as u8 | 0x80]
                .into_iter()
                .chain([(bytes >> 21) as u8 | 0x80, (bytes >> 28) as u8])
                .chain(*name)
                .chain(vec![0; size as usize]),
        );
        wasm
    };
    assert_eq!(read(&with(1 << 20)).unwrap().len(), 1);
    assert!(read(&with(16 << 20)).unwrap().is_empty());
    assert!(read(&wat::parse_str("(module (func))").unwrap()).unwrap().is_empty());
    for end in 0..TRAPS.len() {
        // The cut may lie between two sections, so one module may be found.
        assert!(read(&TRAPS[..end]).map_or(true, |modules| modules.len() <= 1));
        // The file has become shorter since its size was read.
        assert!(sections::read(&TRAPS[..end], TRAPS.len() as u64).map_or(true, |modules| modules.len() <= 1));
    }
}

#[test]
fn a_search_ends_with_its_steps_and_its_time_and_keeps_what_it_has_found() {
    let info = info();
    let (all, steps) = all_places(&info);
    let offsets: Vec<_> = info.modules[0].code.clone().map(Some).collect();
    let known = |places: &[Vec<SourceLocation>]| places.iter().filter(|places| !places.is_empty()).count();
    let mut before = 0;
    for steps in (0..=steps).step_by(50) {
        let mut budget = full();
        budget.spend(budget.left() - steps).unwrap();
        let places = info.places(&offsets, &mut budget);
        assert!(known(&places) >= before, "with more steps no less is found");
        before = known(&places);
    }
    assert!(before > 0);
    let too_late = info.places(&offsets, &mut SearchBudget::full(Instant::now()));
    assert_eq!(known(&too_late), 0);
    assert!(known(&all) > 50);
}

/// Pseudo-random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn damaged_dwarf_gives_less_or_other_places_and_nothing_worse() {
    let whole = info();
    let (_, usual) = all_places(&whole);
    let mut random = Random(1);
    for _ in 0..4000 {
        let mut info = info();
        let bytes = &mut info.modules[0].bytes;
        for _ in 0..=random.below(8) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes[at] ^= 1 << random.below(8),
                2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                _ => {
                    let (from, len) = (random.below(bytes.len()), random.below(16));
                    let len = len.min(bytes.len() - from.max(at));
                    bytes.copy_within(from..from + len, at);
                }
            }
        }
        let (places, steps) = all_places(&info);
        // Most of the allowance is for a header that has become as long as a header may be.
        assert!(steps < usual + 300_000, "{steps} steps instead of {usual}");
        assert!(places.iter().all(|places| places.len() <= super::place::MOST_INLINED + 1));
    }
}

#[test]
fn truncated_sections_are_searched_as_far_as_they_go() {
    let whole = info();
    for (index, id) in sections::SECTIONS.into_iter().enumerate() {
        let len = whole.modules[0].section(id).len();
        for len in 0..len {
            let mut info = info();
            info.modules[0].truncate(index, len);
            all_places(&info);
        }
    }
}

/// Debug information of these sections alone, for a code section of 1 MiB.
fn of_sections(sections: &[(SectionId, Vec<u8>)]) -> DebugInfo {
    DebugInfo { modules: vec![ModuleSections::of(0..1 << 20, sections)] }
}

/// A unit of DWARF 4 with these entries, whose abbreviations are at offset 0.
fn unit(entries: &[u8]) -> Vec<u8> {
    let mut unit = (entries.len() as u32 + 7).to_le_bytes().to_vec();
    unit.extend([4, 0, 0, 0, 0, 0, 4]);
    unit.extend(entries);
    unit
}

/// A unit's root entry: addresses from 1 to 1 MiB, with the line program at offset 0.
const ROOT: [u8; 13] = [1, 1, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0];
/// The abbreviation of the root entry: with children, DW_AT_low_pc, DW_AT_high_pc, DW_AT_stmt_list.
const ROOT_ABBREVIATION: [u8; 11] = [1, 0x11, 1, 0x11, 1, 0x12, 6, 0x10, 0x17, 0, 0];

/// A line program of DWARF 4 with this code. `files` is the header from the directories on.
fn line_program(files: &[u8], code: &[u8]) -> Vec<u8> {
    let mut header = vec![1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
    header.extend(files);
    let mut program = (2 + 4 + header.len() as u32 + code.len() as u32).to_le_bytes().to_vec();
    program.extend([4, 0]);
    program.extend((header.len() as u32).to_le_bytes());
    program.extend(header);
    program.extend(code);
    program
}

/// Each of these would take seconds, gigabytes or a deep stack if it were read naively. A search ends within its steps,
/// all of which take less than a second in an optimized build.
#[test]
fn dwarf_that_is_made_to_cost_much_ends_soon() {
    const MIB: usize = 1 << 20;
    let abbreviations = |more: &[u8]| [&ROOT_ABBREVIATION[..], more, &[0]].concat();
    let lines = || (SectionId::DebugLine, line_program(&[0, b'f', 0, 0, 0, 0, 0], &[0, 5, 2, 1, 0, 0, 0, 0x20, 0x20]));
    let info_of = |entries: &[u8]| (SectionId::DebugInfo, unit(&[&ROOT[..], entries].concat()));
    // The abbreviations of: a function of the whole code, a call inlined into it, an entry with 200 attributes of no
    // bytes, and an entry with a long string.
    let functions: Vec<u8> = [
        &[2, 0x2e, 1, 0x11, 1, 0x12, 6, 0, 0][..],
        &[3, 0x1d, 1, 0x11, 1, 0x12, 6, 0x31, 0x13, 0, 0],
        &[4, 0x34, 0].into_iter().chain([0x3f, 0x19].repeat(200)).chain([0, 0]).collect::<Vec<u8>>(),
        &[5, 0x34, 0, 3, 8, 0, 0],
        &[6, 0x1d, 1, 0x55, 0x17, 0, 0],
    ]
    .concat();
    let subprogram = [2, 1, 0, 0, 0, 0, 0, 16, 0];
    let inlined = [3, 1, 0, 0, 0, 0, 0, 16, 0, 33, 0, 0, 0];
    let cases: Vec<(&str, DebugInfo)> = vec![
        ("a line program of 15 MiB", {
            let code = [&[0, 5, 2, 1, 0, 0, 0][..], &vec![0x20; 15 * MIB]].concat();
            let lines = (SectionId::DebugLine, line_program(&[0, b'f', 0, 0, 0, 0, 0], &code));
            of_sections(&[lines, info_of(&[]), (SectionId::DebugAbbrev, abbreviations(&[]))])
        }),
        ("the same one for each of many units", {
            let code = [&[0, 5, 2, 1, 0, 0, 0][..], &vec![1; 4 * MIB]].concat();
            let lines = (SectionId::DebugLine, line_program(&[0, b'f', 0, 0, 0, 0, 0], &code));
            let info = (SectionId::DebugInfo, unit(&ROOT).repeat(8 * MIB / 24));
            of_sections(&[lines, info, (SectionId::DebugAbbrev, abbreviations(&[]))])
        }),
        ("a header of 8 MiB of files", {
            let files = [&[0][..], &[b'f', 0, 0, 0, 0].repeat(8 * MIB / 5), &[0]].concat();
            let lines = (SectionId::DebugLine, line_program(&files, &[0x20]));
            of_sections(&[lines, info_of(&[]), (SectionId::DebugAbbrev, abbreviations(&[]))])
        }),
        ("files defined by the program", {
            let code = [0, 6, 3, b'f', 0, 0, 0, 0].repeat(15 * MIB / 8);
            let lines = (SectionId::DebugLine, line_program(&[0, b'f', 0, 0, 0, 0, 0], &code));
            of_sections(&[lines, info_of(&[]), (SectionId::DebugAbbrev, abbreviations(&[]))])
        }),
        ("millions of abbreviations", {
            let abbreviation = |code: u32| {
                let code = [code as u8 & 0x7f | 0x80, (code >> 7) as u8 & 0x7f | 0x80, (code >> 14) as u8 & 0x7f];
                [&code[..], &[0x2e, 0, 0, 0]].concat()
            };
            let many: Vec<u8> = (2..2_000_000).flat_map(abbreviation).collect();
            of_sections(&[lines(), info_of(&[]), (SectionId::DebugAbbrev, abbreviations(&many))])
        }),
        ("an abbreviation of millions of attributes", {
            let attributes = [0x3f, 0x19].repeat(6 * MIB);
            let many = [&[2, 0x34, 0][..], &attributes, &[0, 0]].concat();
            of_sections(&[lines(), info_of(&[]), (SectionId::DebugAbbrev, abbreviations(&many))])
        }),
        ("abbreviations without an end", {
            of_sections(&[lines(), info_of(&[]), (SectionId::DebugAbbrev, vec![0x80; 15 * MIB])])
        }),
        ("entries of attributes without bytes", {
            of_sections(&[lines(), info_of(&vec![4; 15 * MIB]), (SectionId::DebugAbbrev, abbreviations(&functions))])
        }),
        ("a string without an end in each entry", {
            let entries = [&[5][..], &vec![b'a'; 15 * MIB]].concat();
            of_sections(&[lines(), info_of(&entries), (SectionId::DebugAbbrev, abbreviations(&functions))])
        }),
        ("a million functions in each other", {
            let entries = [&subprogram[..], &inlined.repeat(MIB)].concat();
            of_sections(&[lines(), info_of(&entries), (SectionId::DebugAbbrev, abbreviations(&functions))])
        }),
        ("a list of ranges for each of many functions", {
            let entries = [&subprogram[..], &[6, 0, 0, 0, 0].repeat(MIB)].concat();
            let ranges = (SectionId::DebugRanges, [2, 0, 0, 0, 1, 0, 0, 0].repeat(MIB / 2));
            let abbreviations = (SectionId::DebugAbbrev, abbreviations(&functions));
            of_sections(&[lines(), info_of(&entries), abbreviations, ranges])
        }),
        ("functions that refer to themselves", {
            let itself = [3, 1, 0, 0, 0, 0, 0, 16, 0, 33, 0, 0, 0];
            let entries = [&subprogram[..], &itself].concat();
            of_sections(&[lines(), info_of(&entries), (SectionId::DebugAbbrev, abbreviations(&functions))])
        }),
    ];
    for (name, info) in cases {
        let (mut budget, begun) = (full(), Instant::now());
        // A sixth of the steps is enough to show that they bound the search.
        budget.spend(budget.left() / 6 * 5).unwrap();
        let places = info.places(&[Some(1), Some(2), Some(1000), None], &mut budget);
        assert_eq!(places.len(), 4, "{name}");
        // Many times what the search takes.
        assert!(begun.elapsed() < Duration::from_secs(60), "{name}: {:?}", begun.elapsed());
        assert!(places.iter().flatten().all(|place| place.file.len() <= 4096), "{name}");
    }
}
