//! The legacy formats: real files, text that a Go program of today writes, files of every format written here, and all
//! of them damaged. What jemalloc writes has no other reader here; its values are computed by hand in `tests/jemalloc.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use profile::Limits;
use profile::parse::{Format, parse};

use crate::corpus::{corpus, go, read, sources};
use crate::damage::{Dice, SEED_BYTES_MAX, compare_many, count};
use crate::harness::Oracle;

/// Damaged files in a run of all tests: as many as take some seconds.
const PROFILES: usize = 4_000;

/// What stands in legacy profiles, at the wrong place.
const TOKENS: [&str; 40] = [
    "0x",
    "0x0",
    "0x1f",
    "0xffffffffffffffff",
    "0x10000000000000000",
    " ",
    "\t",
    "\r",
    "\u{b}",
    "\u{a0}",
    "\u{3000}",
    "\n",
    "#",
    "=",
    "$",
    "$build",
    "build=/usr/bin/a",
    ":",
    "[",
    "]",
    "@",
    "-",
    "---",
    "--- Memory map: ---",
    "MAPPED_LIBRARIES:",
    "0",
    "010",
    "09",
    "1_000",
    "9223372036854775807",
    "18446744073709551616",
    "-1",
    "heap profile: ",
    "/524288",
    "cycles/second = 1000000000",
    "(deleted)",
    ".so.1",
    "/anon_hugepage",
    "same as previous thread",
    "(x:1)",
];

impl Dice {
    fn number(&mut self) -> u64 {
        let bits = self.below(64);
        let number = (self.below(1 << 31) as u64) << 32 | self.below(1 << 31) as u64;
        number >> bits
    }

    /// An address among few, so that some are the same.
    fn address(&mut self) -> u64 {
        let regions = [0x40_0000, 0x40_2000, 0x7f00_0000_0000, 0x1000, 0];
        self.one_of(&regions) + self.below(64) as u64
    }

    fn addresses(&mut self) -> String {
        let count = self.below(6);
        (0..count).fold(String::new(), |text, _| format!("{text} {:#x}", self.address()))
    }

    /// A memory map in any of its forms.
    fn map(&mut self) -> String {
        let mut map = String::new();
        for _ in 0..self.below(8) {
            let from = self.address() & !0xf;
            let to = from + [0, 0x10, 0x40, 0x1000, 0x3f_f000][self.below(5)];
            let offset = [0, 0, 0x1000, 0x20, from][self.below(5)];
            let file = *self.one_of(&[
                "/usr/bin/a",
                "/usr/lib/libc.so.6",
                "/usr/lib/b.so",
                "[vdso]",
                "/usr/bin/a (deleted)",
                "$build",
                "",
                "/anon_hugepage",
                "[heap]",
                "/c$d$builder",
            ]);
            let permissions = *self.one_of(&["r-xp", "r-xp", "r-xp", "r--p", "rw-p", "--xp"]);
            let line = match self.below(7) {
                0 => format!("{from:08x}-{to:08x} {permissions} {offset:08x} fd:01 1234   {file}"),
                1 => format!("  {from:#x}-{to:#x}: {file} (@{offset:x}) abc123"),
                2 => format!("{from:x} {to:x} {permissions} {file}"),
                3 => format!("I0101 00:00:00.1 1 a.cc:12] {from:x}-{to:x} {permissions} {offset:x} 00:00 0 {file}"),
                4 => format!("{from:x}-{to:x} {file} {offset:x}"),
                5 => format!(
                    "{}={}",
                    self.one_of(&["build", "b", "d", "", "c d"]),
                    self.one_of(&["/x y", "/z", "$d"])
                ),
                _ => "nothing of it".to_owned(),
            };
            writeln!(map, "{line}").unwrap();
        }
        map
    }

    fn sections(&mut self) -> String {
        let map = self.map();
        match self.below(5) {
            0 => String::new(),
            1 => format!("something else\n--- Memory map: ---\n{map}"),
            2 => format!("--- Memory map: ---\n{map}"),
            _ => format!("\nMAPPED_LIBRARIES:\n{map}"),
        }
    }

    fn heap(&mut self) -> String {
        let kind = *self.one_of(&[
            "heapz_v2/524288",
            "heap_v2/1",
            "heap/1048576",
            "heapprofile",
            "growthz",
            "growth",
            "fragmentationz",
            "heap",
            "heap_v2/0",
            "heapsort/3",
            "heap/3",
        ]);
        let counts = |dice: &mut Dice| {
            if dice.below(2) == 0 && has_our_exponential() {
                // So many bytes that an integer holds every bit of what they are scaled by.
                let size = (1 << 55) + (dice.number() >> 9);
                return (size / (4096 + dice.below(8 << 20) as u64), size);
            }
            let (count, size) = (dice.number() >> 20, dice.number() >> 8);
            if count == 0 { (0, 0) } else { (count, size) }
        };
        let ((count, size), (all_count, all_size)) = (counts(self), counts(self));
        let all = *self.one_of(&[(count, size), (all_count, all_size), (0, 0)]);
        let mut text = format!(
            "heap profile: {count:6}: {size:8} [{:6}: {:8}] @ {kind}\n",
            all.0, all.1
        );
        for _ in 0..self.below(8) {
            let ((count, size), (all_count, all_size)) = (counts(self), counts(self));
            let sign = if self.below(9) == 0 { "-" } else { "" };
            let stack = self.addresses();
            writeln!(text, "{sign}{count}: {size:5} [{all_count}: {all_size}] @{stack}").unwrap();
            if self.below(6) == 0 {
                text.push_str("#\t0x1\tmain.main+0x1\n");
            }
        }
        text + &self.sections()
    }

    fn counts(&mut self) -> String {
        let kind = *self.one_of(&["goroutine", "threadcreate", "heap", "a/b"]);
        let mut text = format!("{kind} profile: total 9\n");
        for _ in 0..self.below(8) {
            writeln!(
                text,
                "{} @ {:#x}{}",
                self.number() >> 1,
                self.address(),
                self.addresses()
            )
            .unwrap();
        }
        text + &self.sections()
    }

    fn threads(&mut self) -> String {
        let mut text = String::new();
        if self.below(2) == 0 {
            text.push_str("--- threadz 1 ---\n\n");
        }
        for thread in 0..self.below(5) {
            writeln!(text, "--- Thread 7f{thread:x}a (name: worker/{thread}) stack: ---").unwrap();
            for _ in 0..self.below(3) {
                writeln!(text, "   {} in f", self.addresses()).unwrap();
            }
            if self.below(4) == 0 {
                text.push_str("   same as previous thread\n");
            }
        }
        if self.below(4) == 0 {
            text.push_str("---- no stack trace for 3 threads\n");
        }
        let map = self.map();
        if self.below(6) == 0 {
            text
        } else {
            text + "--- Memory map: ---\n" + &map
        }
    }

    fn contention(&mut self) -> String {
        let first = *self.one_of(&["--- contentionz 1 ---", "--- mutex:", "--- contention:"]);
        let mut text = format!("{first}\n");
        for _ in 0..self.below(5) {
            let attribute = *self.one_of(&[
                "cycles/second = 2400000000",
                "cycles/second=0x10",
                "sampling period = 100",
                "sampling period = -3",
                "ms since reset = 1_0",
                "discarded samples = 3",
                "cycles/second = 2599997",
                "sampling period=1",
            ]);
            writeln!(text, "{attribute}").unwrap();
        }
        for _ in 0..self.below(8) {
            writeln!(text, "{} {} @{}", self.number(), self.number(), self.addresses()).unwrap();
        }
        text + &self.sections()
    }

    /// Names of locations, as Java writes them.
    fn names(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.below(12) {
            let frame = *self.one_of(&[
                "com.example.A.run (A.java:12)",
                "com.example.A.run (B.java:-1)",
                "memcpy (/usr/lib/libc.so.6)",
                "GC",
                "f ((x):y:7)",
                "0x12 generated stub/JIT",
                "g ()",
                "h (a/b/)",
                "  spaced  (A b.java:3)",
            ]);
            writeln!(text, "  {:#x} {frame}", self.address()).unwrap();
        }
        text
    }

    fn java(&mut self) -> String {
        let is_heap = self.below(2) == 0;
        let mut text = format!(
            "--- {} 1 ---\nformat = java\n",
            if is_heap { "heapz" } else { "contentionz" }
        );
        for _ in 0..1 + self.below(3) {
            let attribute = *self.one_of(&[
                "resolution=bytes",
                "resolution=microseconds",
                "sampling period = 0x10",
                "ms since reset = 60000",
                "resolution = nano seconds",
            ]);
            if !is_heap || attribute.starts_with("resolution") {
                writeln!(text, "{attribute}").unwrap();
            }
        }
        for _ in 0..self.below(8) {
            let numbers = [self.number() >> 20, self.number() >> 8];
            writeln!(text, "{:8} {} @{}", numbers[1], numbers[0], self.addresses()).unwrap();
        }
        text + &self.names()
    }

    /// A binary profile of words of any size and order, with what gperftools' handler may add to stacks.
    fn cpu(&mut self) -> Vec<u8> {
        let is_java = self.below(3) == 0;
        let mut words = vec![0, 3, u64::from(is_java), 1 + self.number() % 20_000, 0];
        let handler = self.address();
        for _ in 0..self.below(70) {
            let mut stack = vec![self.address()];
            match self.below(20) {
                0 => {}
                1 => stack.push(stack[0]),
                _ => stack.push(handler),
            }
            let depth = self.below(5);
            stack.extend((0..depth).map(|_| self.address()));
            words.push(1 + self.below(9) as u64);
            words.push(stack.len() as u64);
            words.extend(stack);
        }
        if self.below(6) > 0 {
            words.extend([0, 1, 0]);
        }
        let kind = self.below(4);
        let write = |word: u64| match kind {
            0 => (word as u32).to_le_bytes().to_vec(),
            1 => (word as u32).to_be_bytes().to_vec(),
            2 => word.to_le_bytes().to_vec(),
            _ => word.to_be_bytes().to_vec(),
        };
        let mut bytes: Vec<_> = words.into_iter().flat_map(write).collect();
        let text = if is_java { self.names() } else { self.map() };
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    /// A profile of any legacy format.
    fn written(&mut self) -> Vec<u8> {
        match self.below(8) {
            0 | 1 => self.heap().into(),
            2 => self.counts().into(),
            3 => self.threads().into(),
            4 => self.contention().into(),
            5 => self.java().into(),
            _ => self.cpu(),
        }
    }

    /// Does one thing to a text.
    fn hurt_text(&mut self, text: &mut Vec<u8>, others: &[Vec<u8>]) {
        let mut lines: Vec<_> = text
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        if lines.is_empty() {
            return;
        }
        let at = self.below(lines.len());
        match self.below(6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[self.below(lines.len())].clone()),
            2 => {
                let other = self.one_of(others).clone();
                let others: Vec<_> = other.split_inclusive(|byte| *byte == b'\n').collect();
                if !others.is_empty() {
                    lines.insert(at, others[self.below(others.len())].to_vec());
                }
            }
            3 => {
                // Another digit.
                let digits: Vec<_> = (0..lines[at].len())
                    .filter(|place| lines[at][*place].is_ascii_hexdigit())
                    .collect();
                if !digits.is_empty() {
                    let place = *self.one_of(&digits);
                    lines[at][place] = *self.one_of(b"0123456789abcdefx");
                }
            }
            _ => {
                let place = self.below(lines[at].len());
                let token = self.one_of(&TOKENS).bytes();
                lines[at].splice(place..place, token);
            }
        }
        *text = lines.concat();
    }
}

/// Whether the Go of this machine has the exponential function that ours is to the last bit.
fn has_our_exponential() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("fma") && std::is_x86_feature_detected!("avx");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Legacy profiles as they are found: in the corpus, and as Go writes them today.
fn found(oracle: &Oracle) -> Vec<Vec<u8>> {
    let folder = oracle.folder.path().join("text");
    fs::create_dir_all(&folder).unwrap();
    let program = oracle.folder.path().join("text-program");
    go(&sources(), &["build", "-o", program.to_str().unwrap(), "./text"]);
    assert!(Command::new(program).arg(&folder).status().unwrap().success());
    let texts = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let files = corpus().into_iter().chain(texts).map(|path| read(&path));
    files
        .filter(|file| format_of(file).is_some_and(|format| format != Format::Proto))
        .collect()
}

fn format_of(file: &[u8]) -> Option<Format> {
    Some(parse(file, &Limits::DEFAULT).ok()?.format)
}

#[test]
fn legacy_formats_are_read_as_google_pprof_reads_them() {
    let Some(oracle) = Oracle::build(".") else {
        return eprintln!("no go: nothing compared");
    };
    let mut dice = Dice::new();
    let mut formats: BTreeMap<String, usize> = BTreeMap::new();
    let found = found(&oracle);
    for file in &found {
        *formats.entry(format_of(file).unwrap().to_string()).or_default() += 1;
    }
    println!("{formats:?}");
    let all = [
        "gperftools CPU",
        "Java CPU",
        "heap text",
        "Go count text",
        "thread text",
        "contention text",
    ];
    for format in all.into_iter().chain(["Java heap", "Java contention"]) {
        assert!(formats.contains_key(format), "no {format} profile among {formats:?}");
    }
    let mut files = found.iter();
    let compared = compare_many(&oracle, found.len(), || files.next().unwrap().clone(), |_, _| Ok(()));
    assert_eq!(compared, 2 * found.len());
    compare_damaged(&oracle, &mut dice, &found, count(PROFILES));
}

/// Small files cut off at each byte.
#[test]
fn cut_legacy_profiles_are_read_as_google_pprof_reads_them() {
    let Some(oracle) = Oracle::build(".") else {
        return eprintln!("no go: nothing compared");
    };
    let found = found(&oracle);
    let small: Vec<_> = found.iter().filter(|file| file.len() <= 2 << 10).collect();
    assert!(small.len() >= 5, "only {} small legacy profiles", small.len());
    let cuts: Vec<_> = small
        .iter()
        .flat_map(|file| (0..file.len()).map(move |end| file[..end].to_vec()))
        .collect();
    let mut files = cuts.iter();
    compare_many(&oracle, cuts.len(), || files.next().unwrap().clone(), |_, _| Ok(()));
}

fn compare_damaged(oracle: &Oracle, dice: &mut Dice, found: &[Vec<u8>], count: usize) {
    let mut seeds: Vec<_> = found
        .iter()
        .filter(|file| file.len() <= SEED_BYTES_MAX)
        .cloned()
        .collect();
    seeds.extend((0..200).map(|_| dice.written()));
    let make = || {
        let mut file = if dice.below(2) == 0 {
            dice.written()
        } else {
            dice.one_of(&seeds).clone()
        };
        for _ in 0..dice.below(4) {
            if dice.below(3) == 0 {
                dice.hurt_bytes(&mut file, &seeds);
            } else {
                dice.hurt_text(&mut file, &seeds);
            }
        }
        file
    };
    let compared = compare_many(oracle, count, make, |_, _| Ok(()));
    assert!(compared >= count / 4, "only {compared} of {count} files were read");
}
