//! What a profile says, as people see it: reports, flame graphs, and what other programs read.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file: its functions are tests or their parts"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use profile::Limits;
use profile::build::Builder;
use profile::model::Sample;
use serde_json::Value;
use tempfile::TempDir;

#[path = "peer/pprof.rs"]
mod pprof;

use pprof::Pprof;

fn data(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profile/tests/data");
    folder.join(name).to_str().unwrap().to_owned()
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-profile"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What it prints when it does what it is told.
fn said(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What it says when it does not.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn info_has_the_time_for_people_and_for_programs() {
    let heap = data("heap.pprof");
    let text = said(&["info", &heap]);
    let line = text.lines().find(|line| line.starts_with("time ")).unwrap();
    let object: Value = serde_json::from_str(&said(&["info", "-o", "json", &heap])).unwrap();
    let (nanos, time) = (object["timeNanos"].as_i64().unwrap(), object["time"].as_str().unwrap());
    assert_eq!(line, format!("time             {time} ({nanos} ns)"));
    assert!(
        time.starts_with("20") && time.contains('T') && time.ends_with('Z'),
        "{time}"
    );
}

#[test]
fn top_shows_what_burned() {
    let cpu = data("cpu.pprof");
    let text = said(&["top", &cpu]);
    let mut rows = text.lines().skip_while(|line| !line.trim_start().starts_with("flat"));
    assert!(rows.nth(1).unwrap().ends_with("  main.burn"), "{text}");
    let first = said(&["top", "-o", "json", "-t", "samples", "-n", "1", &cpu]);
    let top: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        (top["unit"].as_str(), top["counts"]["shown"].as_u64()),
        (Some("count"), Some(1))
    );
    assert_eq!(said(&["top", "-o", "json", "-t", "0", "-n", "1", &cpu]), first);
    let cum = said(&["top", "--cum", "-n", "1", "-o", "json", &cpu]);
    let cum: Value = serde_json::from_str(&cum).unwrap();
    assert_eq!(cum["functions"][0]["name"], "main.burn", "of equals the first by name");
    assert_eq!(run(&["top", "--node-fraction", "2", &cpu]).status.code(), Some(2));
}

#[test]
fn peek_shows_callers_and_callees() {
    let cpu = data("cpu.pprof");
    let peek: Value = serde_json::from_str(&said(&["peek", "-o", "json", "^main[.]burn$", &cpu])).unwrap();
    assert_eq!(peek["functions"].as_array().unwrap().len(), 1);
    assert_eq!(peek["functions"][0]["callers"][0]["name"], "main.main.func2");
    assert!(refused(&["peek", "no such", &cpu]).contains("no function matches no such"));
    // A pattern means what it means to Go: a brace that counts nothing is a brace.
    assert!(refused(&["peek", "burn{", &cpu]).contains("no function matches burn{"));
    assert_eq!(run(&["peek", "(", &cpu]).status.code(), Some(2));
}

#[test]
fn reports_are_those_of_pprof_from_the_first_line_to_the_last() {
    let Some(pprof) = Pprof::build() else {
        return eprintln!("no go: nothing compared");
    };
    let theirs = |arguments: &[&str]| String::from_utf8(pprof.run(arguments).stdout).unwrap();
    for name in ["cpu", "heap", "allocs", "goroutine", "mutex", "block", "threadcreate"] {
        let file = data(&format!("{name}.pprof"));
        assert_eq!(said(&["top", &file]), theirs(&["-top", "-nodecount=20", &file]));
        let all = ["top", "-n", "0", "--node-fraction", "0", "--cum", "-t", "0", &file];
        let theirs_all = [
            "-top",
            "-nodecount=0",
            "-nodefraction=0",
            "-cum",
            "-sample_index=0",
            &file,
        ];
        assert_eq!(said(&all), theirs(&theirs_all));
        assert_eq!(said(&["peek", "^runtime", &file]), theirs(&["-peek=^runtime", &file]));
    }
}

#[test]
fn what_terminals_obey_is_written_out() {
    let folder = TempDir::new().unwrap();
    // A name that makes a row of its own and colours it, and one that is read from the right.
    let types = [("cpu\u{1b}[2J", "apples\n")];
    let mut builder = Builder::new(&types, &Limits::DEFAULT).unwrap();
    let mut stack = Vec::new();
    for name in [
        "evil\n     99s 99.99% 99.99%        99s 99.99%  \u{1b}[31mmain.fake",
        "\u{202e}nimda",
        "main",
    ] {
        stack.push(builder.frame(name.as_bytes()).unwrap());
    }
    let sample = Sample {
        stack: &stack,
        values: &[5],
        labels: &[],
    };
    builder.push_sample(sample).unwrap();
    builder.add_comment(b"one\rtwo").unwrap();
    let path = folder.path().join("evil");
    fs::write(&path, builder.finish().encode()).unwrap();
    let file = path.to_str().unwrap();
    for (arguments, rows) in [
        (&["top", file][..], 7),
        (&["peek", ".", file], 16),
        (&["info", file], 5),
        (&["check", file], 1),
        (&["flame", "--folded", file], 1),
        (&["convert", "--to", "folded", file], 1),
    ] {
        let text = said(arguments);
        let is_obeyed = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || c == '\u{202e}';
        assert!(!text.contains(is_obeyed), "{text:?}");
        assert_eq!(text.lines().count(), rows, "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("99s")), "{text}");
    }
    let top = said(&["top", file]);
    assert!(
        top.contains("  evil\\n     99s") && top.contains("\\u{1b}[31mmain.fake\n"),
        "{top}"
    );
    assert!(top.contains("\\u{202e}nimda\n") && top.contains("one\\rtwo\n"), "{top}");
    let error = refused(&["top", "-t", "none", file]);
    assert!(error.ends_with("there are cpu\\u{1b}[2J\n"), "{error:?}");
}

#[test]
fn a_flame_graph_is_a_picture_or_folded_stacks() {
    let cpu = data("cpu.pprof");
    let picture = said(&["flame", &cpu]);
    assert!(picture.starts_with("<svg ") && picture.contains("main.burn"));
    assert!(!picture.contains("<script") && !picture.contains("href"));
    let folded = said(&["flame", "--folded", &cpu]);
    let stack = "runtime/pprof.Do;main.main.func2;main.burn ";
    assert!(folded.lines().any(|line| line.starts_with(stack)), "{folded}");
    let few = said(&["flame", "--nodes-max", "2", &cpu]);
    assert!(few.len() < picture.len() && few.contains("main.main.func2"));
    let inverted = said(&["flame", "--inverted", &cpu]);
    assert!(inverted.contains("main.burn") && inverted != picture);
}

#[test]
fn a_sandwich_is_of_one_function() {
    let cpu = data("cpu.pprof");
    let picture = said(&["flame", "--sandwich", "main.burn", &cpu]);
    assert!(picture.contains(">runtime/pprof.Do</text>"), "{picture}");
    assert_eq!(said(&["flame", "--sandwich", "n.burn", &cpu]), picture);
    assert!(refused(&["flame", "--sandwich", "no such", &cpu]).contains("no function is called no such"));
    assert!(refused(&["flame", "--sandwich", "main.", &cpu]).contains("main. is a part of several names: main.burn"));
    assert_eq!(
        run(&["flame", "--sandwich", "main", "--inverted", &cpu]).status.code(),
        Some(2)
    );
}

#[test]
fn a_comparison_marks_what_is_new_and_gone() {
    let folder = TempDir::new().unwrap();
    let stacks = |name: &str, lines: &str| {
        let path = folder.path().join(name);
        fs::write(&path, lines).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let before = stacks("before", "main;work 6\nmain;old 4\n");
    let after = stacks("after", "main;work 9\nmain;young 1\n");
    assert_eq!(
        said(&["flame", "--folded", "--base", &before, &after]),
        "main;old 4 0\nmain;work 6 9\nmain;young 0 1\n"
    );
    for more in [&[][..], &["--normalize"], &["--inverted"]] {
        let picture = said(&[&["flame", "--base", &before, &after][..], more].concat());
        assert!(picture.contains("<title>young: new, 1"), "{picture}");
        assert!(picture.contains("<title>old: gone, 4"), "{picture}");
        assert!(
            picture.contains("<title>work: 6 → 9, +3 (60.00% → 90.00%)"),
            "{picture}"
        );
    }
    let heap = data("heap.pprof");
    assert!(refused(&["flame", "--base", &heap, &after]).contains("the base has no sample type samples in count"));
    assert_eq!(run(&["flame", "--normalize", &heap]).status.code(), Some(2));
}

/// The schema that speedscope's own package has; `None` where there is no npm or no registry.
fn schema(folder: &TempDir) -> Option<Value> {
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "speedscope@1.25.0"])
        .current_dir(folder.path())
        .stderr(Stdio::null());
    let packed = npm.output().ok().filter(|output| output.status.success())?;
    let name = String::from_utf8(packed.stdout).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-xzf", name.trim()]).current_dir(folder.path());
    assert!(tar.status().unwrap().success());
    let schema = folder.path().join("package/dist/release/file-format-schema.json");
    Some(serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap())
}

/// Whether a value is as a schema says. Knows the words of that schema and no others.
fn fits(value: &Value, schema: &Value, root: &Value) -> bool {
    schema
        .as_object()
        .unwrap()
        .iter()
        .all(|(word, said)| match word.as_str() {
            "$schema" | "definitions" | "title" => true,
            "$ref" => fits(
                value,
                root.pointer(said.as_str().unwrap().trim_start_matches('#')).unwrap(),
                root,
            ),
            "type" => match said.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "number" => value.is_number(),
                other => panic!("type {other}"),
            },
            "const" => value == said,
            "enum" => said.as_array().unwrap().contains(value),
            "anyOf" => said.as_array().unwrap().iter().any(|schema| fits(value, schema, root)),
            "required" => said
                .as_array()
                .unwrap()
                .iter()
                .all(|name| value.get(name.as_str().unwrap()).is_some()),
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .all(|item| fits(item, said, root)),
            "properties" => {
                let mut all = said.as_object().unwrap().iter();
                all.all(|(name, schema)| value.get(name).is_none_or(|value| fits(value, schema, root)))
            }
            other => panic!("the schema says {other}"),
        })
}

#[test]
fn speedscope_gets_what_its_schema_says() {
    let (heap, cpu) = (data("heap.pprof"), data("cpu.pprof"));
    let all: Value = serde_json::from_str(&said(&["flame", "--speedscope", &heap])).unwrap();
    let names: Vec<_> = all["profiles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sheet| sheet["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"]);
    assert_eq!(all["activeProfileIndex"], 3);
    let one: Value = serde_json::from_str(&said(&["flame", "--speedscope", "-t", "cpu", &cpu])).unwrap();
    assert_eq!(
        (one["profiles"].as_array().unwrap().len(), &one["profiles"][0]["unit"]),
        (1, &"nanoseconds".into())
    );
    let folder = TempDir::new().unwrap();
    let Some(schema) = schema(&folder) else {
        return eprintln!("no npm registry: no schema to compare with");
    };
    for file in [&all, &one] {
        assert!(fits(file, &schema, &schema));
    }
    let mut wrong = one.clone();
    wrong["profiles"][0]["unit"] = "parsecs".into();
    assert!(!fits(&wrong, &schema, &schema), "the schema is looked at");
}
