//! Merges and differences, byte for byte those of the program `pprof -proto`.

use std::fs;
use std::path::{Path, PathBuf};

use profile::build::Builder;
use profile::merge::Merger;
use profile::model::{Mapping, Sample};
use profile::sources::{self, CombineError, Subtraction};
use profile::{Limits, Profile};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

use crate::corpus::{corpus, read};
use crate::filters::quoted;
use crate::harness::{Oracle, Request as Question};

/// The program, inside a process that runs it again and again, and a folder for files.
struct Pprof {
    oracle: Oracle,
}

impl Pprof {
    /// `None` when there is no Go to build it with.
    fn build() -> Option<Self> {
        let oracle = Oracle::build("./algebra")?;
        Some(Self { oracle })
    }

    fn folder(&self) -> &Path {
        self.oracle.folder.path()
    }

    /// What it writes for each, uncompressed; `None` when it refuses.
    fn protos(&self, requests: &[Request]) -> Vec<Option<Vec<u8>>> {
        let questions: Vec<_> = requests.iter().map(Request::question).collect();
        let answers = self.oracle.ask(&questions).into_iter();
        // A line of what it told people, then the profile.
        let profile = |answer: Vec<u8>| {
            let said = answer.iter().position(|byte| *byte == b'\n').unwrap();
            answer[said + 1..].to_vec()
        };
        answers.map(|answer| answer.ok().map(profile)).collect()
    }
}

/// Sources, and what is taken from them.
#[derive(Debug, Clone, Default)]
struct Request {
    sources: Vec<PathBuf>,
    bases: Vec<PathBuf>,
    how: Subtraction,
}

impl Request {
    /// As the command line has it.
    fn question(&self) -> Question {
        let mut options = Vec::new();
        if self.how.is_normalized {
            options.push("normalize".to_owned());
        }
        let option = if self.how.is_labelled { "diff_base" } else { "base" };
        for base in &self.bases {
            options.push(format!("{option}={}", base.display()));
        }
        let options: Vec<_> = options.iter().map(|option| quoted(option)).collect();
        Question {
            operation: format!("pprof?{}", options.join("&")),
            sources: self.sources.clone(),
        }
    }
}

fn merged(files: &[PathBuf]) -> Result<Profile<'static>, CombineError> {
    sources::merge(files.len(), |index, use_it| {
        let bytes = read(&files[index]);
        use_it(&mut Profile::parse(&bytes, &Limits::DEFAULT).unwrap())
    })
}

fn ours(request: &Request) -> Result<Vec<u8>, CombineError> {
    let profile = merged(&request.sources)?;
    if request.bases.is_empty() {
        return Ok(sources::finish(profile).encode());
    }
    let base = merged(&request.bases)?;
    Ok(sources::subtract(profile, base, request.how)?.encode())
}

/// How many of the answers were profiles.
fn compare(pprof: &Pprof, requests: &[Request]) -> usize {
    let mut compared = 0;
    for (request, theirs) in requests.iter().zip(pprof.protos(requests)) {
        match (theirs, ours(request)) {
            (Some(theirs), Ok(ours)) => {
                assert!(theirs == ours, "{request:?} differ");
                compared += 1;
            }
            (None, Err(_)) => {}
            (theirs, ours) => {
                let (theirs, ours) = (theirs.map(|bytes| bytes.len()), ours.map(|bytes| bytes.len()));
                panic!("{request:?}: pprof {theirs:?}, ours {ours:?}");
            }
        }
    }
    compared
}

/// All ways of taking a base away.
const WAYS: [Subtraction; 4] = [
    Subtraction {
        is_labelled: false,
        is_normalized: false,
    },
    Subtraction {
        is_labelled: true,
        is_normalized: false,
    },
    Subtraction {
        is_labelled: false,
        is_normalized: true,
    },
    Subtraction {
        is_labelled: true,
        is_normalized: true,
    },
];

#[test]
fn the_command_line_gives_the_same_bytes() {
    let Some(pprof) = Pprof::build() else {
        return eprintln!("no go: nothing compared");
    };
    let mut valid: Vec<_> = corpus()
        .into_iter()
        .filter_map(|path| Some((types(&path)?, path)))
        .collect();
    valid.sort();
    let mut requests = Vec::new();
    for (at, (_, path)) in valid.iter().enumerate() {
        let (_, next) = &valid[(at + 1) % valid.len()];
        let with = |sources: &[&PathBuf], bases: &[&PathBuf], how| Request {
            sources: sources.iter().copied().cloned().collect(),
            bases: bases.iter().copied().cloned().collect(),
            how,
        };
        requests.push(with(&[path], &[], Subtraction::default()));
        requests.push(with(&[path, next], &[], Subtraction::default()));
        // Each large one takes seconds in a debug build.
        let ways = if fs::metadata(path).unwrap().len() > 50_000 {
            1
        } else {
            4
        };
        for (offset, how) in WAYS.into_iter().enumerate().take(ways) {
            let how = if ways == 1 { WAYS[at % 4] } else { how };
            let two = [path, next];
            requests.push(with(&[two[(at + offset) % 2]], &[two[(at + offset + 1) % 2]], how));
        }
        requests.push(with(&[path, next], &[path], Subtraction::default()));
    }
    let compared = compare(&pprof, &requests);
    assert!(compared >= 200, "only {compared} results were compared");
    println!("{compared} results of {} requests", requests.len());
}

fn types(path: &Path) -> Option<String> {
    let bytes = read(path);
    let profile = Profile::parse(&bytes, &Limits::DEFAULT).ok()?;
    let text = |id| profile.strings().text(id).into_owned();
    let types = profile
        .header()
        .sample_types
        .iter()
        .chain([&profile.header().period_type]);
    Some(types.map(|of| text(of.kind) + &text(of.unit)).collect())
}

/// A profile as a source could have it: what it measures, its period, when, and stacks of named functions with values.
struct Made<'m> {
    types: &'m [(&'m str, &'m str)],
    period: (&'m str, &'m str, i64),
    time: i64,
    samples: &'m [(&'m str, &'m [i64])],
}

impl Made<'_> {
    fn write(&self, to: &Path) {
        let mut builder = Builder::new(self.types, &Limits::DEFAULT).unwrap();
        builder.set_period(self.period.0, self.period.1, self.period.2).unwrap();
        builder.set_time(self.time, 7);
        for (stack, values) in self.samples {
            let mut locations = Vec::new();
            for name in stack.split(';') {
                locations.push(builder.frame(name.as_bytes()).unwrap());
            }
            builder
                .push_sample(Sample {
                    stack: &locations,
                    values,
                    labels: &[],
                })
                .unwrap();
        }
        fs::write(to, builder.finish().encode()).unwrap();
    }
}

#[test]
fn types_and_units_that_differ_are_made_the_same_as_on_the_command_line() {
    let Some(pprof) = Pprof::build() else {
        return eprintln!("no go: nothing compared");
    };
    let cpu = ("cpu", "nanoseconds", 10_000_000);
    let made = [
        Made {
            types: &[("samples", "count"), ("cpu", "nanoseconds")],
            period: cpu,
            time: 5,
            samples: &[("a;main", &[1, 10]), ("b;main", &[2, 0])],
        },
        Made {
            types: &[("cpu", "milliseconds"), ("samples", "count")],
            period: ("cpu", "ms", 10),
            time: 0,
            samples: &[("b;main", &[3, 1]), ("c", &[0, 4])],
        },
        Made {
            types: &[("samples", "count"), ("wall", "s"), ("cpu", "us")],
            period: ("cpus", "us", 3),
            time: 9,
            samples: &[("d", &[0, 5, 0]), ("a;main", &[-1, 0, 7])],
        },
        Made {
            types: &[("cpu", "seconds")],
            period: ("cpu", "seconds", 9_007_199_254_740_993),
            time: 1,
            samples: &[("a", &[9_007_199_254_740_993])],
        },
        Made {
            types: &[("cpu", "count")],
            period: cpu,
            time: 1,
            samples: &[("a", &[1])],
        },
        Made {
            types: &[("cpu", "nanosecond"), ("cpu", "ns"), ("samples", "count")],
            period: cpu,
            time: 2,
            samples: &[("e", &[1, 2, 3])],
        },
        Made {
            types: &[("cpu", "ns"), ("cpu", "ns")],
            period: cpu,
            time: 2,
            samples: &[("e", &[1, 2])],
        },
        Made {
            types: &[("alloc", "bytes"), ("cpu", "hours")],
            period: ("", "", 0),
            time: 3,
            samples: &[("e", &[1, 1])],
        },
        Made {
            types: &[("alloc", "MB"), ("cpu", "minutes")],
            period: ("", "", 0),
            time: 3,
            samples: &[("e", &[1, 1])],
        },
        Made {
            types: &[("alloc", "kb")],
            period: ("", "", -1),
            time: -3,
            samples: &[("e", &[i64::MAX]), ("f", &[i64::MIN])],
        },
        Made {
            types: &[("gcu", "milliGCU")],
            period: cpu,
            time: 3,
            samples: &[("e", &[1001])],
        },
        Made {
            types: &[("gcu", "kilogcu")],
            period: cpu,
            time: 3,
            samples: &[("e", &[3]), ("f", &[0])],
        },
    ];
    let files: Vec<_> = (0..made.len())
        .map(|index| pprof.folder().join(format!("{index}.pb")))
        .collect();
    for (made, file) in made.iter().zip(&files) {
        made.write(file);
    }
    let mut requests = Vec::new();
    for first in &files {
        let alone = vec![first.clone()];
        requests.push(Request {
            sources: alone.clone(),
            ..Request::default()
        });
        for second in &files {
            requests.push(Request {
                sources: vec![first.clone(), second.clone()],
                ..Request::default()
            });
            for how in WAYS {
                let bases = vec![second.clone()];
                requests.push(Request {
                    sources: alone.clone(),
                    bases,
                    how,
                });
            }
            let sources = vec![first.clone(), second.clone(), files[0].clone()];
            requests.push(Request {
                sources,
                bases: vec![second.clone()],
                how: WAYS[1],
            });
        }
    }
    let compared = compare(&pprof, &requests);
    assert!(compared >= 120, "only {compared} of {} were any", requests.len());
    println!("{compared} results of {} requests", requests.len());
}

#[test]
fn many_sources_are_merged_in_chunks_as_on_the_command_line() {
    let Some(pprof) = Pprof::build() else {
        return eprintln!("no go: nothing compared");
    };
    let period = ("cpu", "ns", 1);
    let types = [("samples", "count"), ("cpu", "ns")];
    let finer = [("cpu", "ns"), ("other", "count"), ("samples", "count")];
    let made = [
        // What comes, goes and comes again; times that are not there; a base among the sources.
        Made {
            types: &types,
            period,
            time: 5,
            samples: &[("a;main", &[1, 1]), ("b", &[1, 0])],
        },
        Made {
            types: &types,
            period,
            time: 0,
            samples: &[("a;main", &[-1, -1]), ("c;main", &[2, 2])],
        },
        Made {
            types: &types,
            period,
            time: 7,
            samples: &[("d", &[1, 1]), ("a;main", &[1, 1])],
        },
        Made {
            types: &finer,
            period,
            time: 8,
            samples: &[("d", &[1, 1, 1]), ("a;main", &[0, 3, 0])],
        },
    ];
    let files: Vec<_> = (0..made.len())
        .map(|index| pprof.folder().join(format!("{index}.pb")))
        .collect();
    for (made, file) in made.iter().zip(&files) {
        made.write(file);
    }
    let list = |count: usize, choose: &dyn Fn(usize) -> usize| -> Vec<PathBuf> {
        (0..count).map(|index| files[choose(index)].clone()).collect()
    };
    let mut requests = Vec::new();
    for count in [127, 128, 129, 256, 257, 300] {
        let lists = [
            list(count, &|index| index % 3),
            list(count, &|index| if index < 128 { index % 2 } else { 2 }),
            list(count, &|index| usize::from(index + 1 == count) * 3),
            list(count, &|index| if index == 130 { 3 } else { index % 2 }),
            list(count, &|index| if index == 0 { 3 } else { index % 3 }),
        ];
        for sources in lists {
            // The program takes the last of several bases only.
            let bases = list(1, &|_| count % 4);
            requests.push(Request {
                sources: sources.clone(),
                ..Request::default()
            });
            requests.push(Request {
                sources,
                bases,
                how: WAYS[1],
            });
        }
    }
    let compared = compare(&pprof, &requests);
    assert_eq!(compared, requests.len());
    // Where nothing is negative and all times are known, chunks make no difference: then the stream is the same.
    let plain = list(300, &|index| (index % 2) * 2);
    let request = Request {
        sources: plain.clone(),
        ..Request::default()
    };
    let mut merger = Merger::new();
    for file in &plain {
        merger
            .add(&Profile::parse(&read(file), &Limits::DEFAULT).unwrap())
            .unwrap();
    }
    let mut library = merger.finish().unwrap();
    library.give_mapping();
    assert_eq!(pprof.protos(&[request]), [Some(library.compact().unwrap().encode())]);
}

#[test]
fn files_that_are_urls_are_forgotten_as_by_the_command_line() {
    let Some(oracle) = Oracle::build("./algebra") else {
        return eprintln!("no go: nothing compared");
    };
    let pieces = [
        "http",
        "https",
        "file",
        "x+y",
        "9",
        "a",
        ":",
        "://",
        "//",
        "/",
        "?",
        "#",
        "@",
        "[",
        "]",
        "[::1]",
        "::1",
        "fe80::1",
        "%25",
        "%25en0",
        "%",
        "%zz",
        "%41",
        "%e9",
        "%20",
        "80",
        ":80",
        ":b",
        " ",
        "\t",
        "é",
        "<",
        "\"",
        "^",
        "|",
        "\\",
        "u:p@",
        "u:%4@",
        "*",
        "localhost",
        "1.2.3.4",
    ];
    let texts = prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..8).prop_map(|pieces| pieces.concat());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let texts: Vec<_> = (0..30_000)
        .map(|_| texts.new_tree(&mut runner).unwrap().current())
        .collect();
    let list = oracle.folder.path().join("urls");
    fs::write(&list, texts.iter().map(|text| quoted(text) + "\n").collect::<String>()).unwrap();
    let question = Question {
        operation: "urls".to_owned(),
        sources: vec![list],
    };
    let answers = String::from_utf8(oracle.ask(&[question]).remove(0).unwrap()).unwrap();

    let mut builder = Builder::new(&[("a", "b")], &Limits::DEFAULT).unwrap();
    for text in &texts {
        let file = builder.string(text.as_bytes()).unwrap();
        builder
            .push_mapping(Mapping {
                file,
                ..Mapping::default()
            })
            .unwrap();
    }
    let profile = sources::finish(builder.finish());
    let mut urls = 0;
    for ((text, mapping), theirs) in texts.iter().zip(profile.mappings()).zip(answers.lines()) {
        let is_forgotten = profile.strings().get(mapping.file).is_empty();
        assert_eq!(is_forgotten, theirs == "true", "{text:?}");
        urls += usize::from(is_forgotten);
    }
    assert!(urls > 1000, "only {urls} are URLs");
    println!("{urls} of {} texts are URLs", texts.len());
}

#[test]
fn the_source_that_measures_something_else_is_told() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, types: &[(&str, &str)]| {
        let path = folder.path().join(name);
        let of = Made {
            types,
            period: ("", "", 0),
            time: 1,
            samples: &[],
        };
        of.write(&path);
        path
    };
    let (cpu, both, heap) = (
        write("cpu", &[("cpu", "ns")]),
        write("both", &[("heap", "bytes"), ("cpu", "ns")]),
        write("heap", &[("heap", "bytes")]),
    );
    let other = write("other", &[("cpu", "bytes")]);
    let told = |files: &[&PathBuf]| {
        let files: Vec<_> = files.iter().copied().cloned().collect();
        let CombineError::Disagreement { index, source } = merged(&files).unwrap_err() else {
            panic!("they measure alike");
        };
        (index, source.to_string())
    };
    let nothing = "no sample type is in all profiles up to this one, which has heap";
    assert_eq!(told(&[&cpu, &both, &heap, &cpu]), (Some(2), nothing.to_owned()));
    let units = "the profiles measure cpu/ns and cpu/bytes, of which neither can be made the other";
    assert_eq!(told(&[&cpu, &both, &other]), (Some(2), units.to_owned()));
    let many = [vec![&cpu; 129], vec![&other]].concat();
    assert_eq!(told(&many), (Some(129), units.to_owned()));
    let next = [vec![&cpu; 128], vec![&heap]].concat();
    assert_eq!(told(&next), (Some(128), nothing.to_owned()));
}
