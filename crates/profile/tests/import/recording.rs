//! Recordings of Java's flight recorder, written byte by byte: the smallest that hold something, and ones that no JVM writes.

/// A class of a recording: its id, name, and fields.
pub(crate) type Class<'c> = (i64, &'c str, &'c [Field<'c>]);

/// A field: its name, the id of its class, and whether it is a constant or a list.
pub(crate) type Field<'c> = (&'c str, i64, Form);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Here,
    Constant,
    List,
}

pub(crate) const LONG: i64 = 10;
pub(crate) const STRING: i64 = 11;
pub(crate) const INT: i64 = 12;
pub(crate) const BOOLEAN: i64 = 13;
pub(crate) const SYMBOL: i64 = 20;
pub(crate) const CLASS: i64 = 21;
pub(crate) const METHOD: i64 = 22;
pub(crate) const THREAD: i64 = 23;
pub(crate) const FRAME: i64 = 24;
pub(crate) const TRACE: i64 = 25;
pub(crate) const SAMPLE: i64 = 101;
pub(crate) const ALLOCATION: i64 = 102;
pub(crate) const MONITOR: i64 = 103;
pub(crate) const SETTING: i64 = 104;
pub(crate) const CPU_TIME: i64 = 105;

/// The classes that a recording of ours has.
pub(crate) const CLASSES: &[Class<'_>] = &[
    (LONG, "long", &[]),
    (STRING, "java.lang.String", &[]),
    (INT, "int", &[]),
    (BOOLEAN, "boolean", &[]),
    (SYMBOL, "jdk.types.Symbol", &[("string", STRING, Form::Here)]),
    (CLASS, "java.lang.Class", &[("name", SYMBOL, Form::Constant)]),
    (
        METHOD,
        "jdk.types.Method",
        &[
            ("type", CLASS, Form::Constant),
            ("name", SYMBOL, Form::Constant),
            ("descriptor", SYMBOL, Form::Constant),
        ],
    ),
    (
        THREAD,
        "java.lang.Thread",
        &[("osName", STRING, Form::Here), ("javaName", STRING, Form::Here)],
    ),
    (
        FRAME,
        "jdk.types.StackFrame",
        &[("method", METHOD, Form::Constant), ("lineNumber", INT, Form::Here)],
    ),
    (
        TRACE,
        "jdk.types.StackTrace",
        &[("truncated", BOOLEAN, Form::Here), ("frames", FRAME, Form::List)],
    ),
    (
        SAMPLE,
        "jdk.ExecutionSample",
        &[
            ("startTime", LONG, Form::Here),
            ("sampledThread", THREAD, Form::Constant),
            ("stackTrace", TRACE, Form::Constant),
        ],
    ),
    (
        CPU_TIME,
        "jdk.CPUTimeSample",
        &[
            ("stackTrace", TRACE, Form::Constant),
            ("eventThread", THREAD, Form::Constant),
            ("failed", BOOLEAN, Form::Here),
            ("samplingPeriod", LONG, Form::Here),
        ],
    ),
    (
        ALLOCATION,
        "jdk.ObjectAllocationSample",
        &[
            ("eventThread", THREAD, Form::Constant),
            ("stackTrace", TRACE, Form::Constant),
            ("objectClass", CLASS, Form::Constant),
            ("weight", LONG, Form::Here),
        ],
    ),
    (
        MONITOR,
        "jdk.JavaMonitorEnter",
        &[
            ("duration", LONG, Form::Here),
            ("eventThread", THREAD, Form::Constant),
            ("stackTrace", TRACE, Form::Constant),
            ("monitorClass", CLASS, Form::Constant),
        ],
    ),
    (
        SETTING,
        "jdk.ActiveSetting",
        &[
            ("id", LONG, Form::Here),
            ("name", STRING, Form::Here),
            ("value", STRING, Form::Here),
        ],
    ),
];

/// Bytes in the making.
#[derive(Default, Clone)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn number(mut self, number: i64) -> Self {
        let mut left = number.cast_unsigned();
        for _ in 0..8 {
            if left < 0x80 {
                self.0.push(left as u8);
                return self;
            }
            self.0.push(left as u8 | 0x80);
            left >>= 7;
        }
        self.0.push(left as u8);
        self
    }

    pub(crate) fn numbers(self, numbers: &[i64]) -> Self {
        numbers.iter().fold(self, |bytes, number| bytes.number(*number))
    }

    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        let mut bytes = self.byte(3).number(text.len() as i64);
        bytes.0.extend_from_slice(text.as_bytes());
        bytes
    }

    fn then(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// An event: its size, its class, and the rest.
pub(crate) fn event(class: i64, body: &Bytes) -> Vec<u8> {
    let class = Bytes::default().number(class).0;
    // The size counts itself: one byte up to 127, else as many as the JVM takes, which pads to four.
    let size = 4 + class.len() + body.0.len();
    let padded = [
        size & 0x7f | 0x80,
        size >> 7 & 0x7f | 0x80,
        size >> 14 & 0x7f | 0x80,
        size >> 21,
    ];
    let padded: Vec<u8> = padded.iter().map(|byte| *byte as u8).collect();
    [padded, class, body.0.clone()].concat()
}

/// An event with constants: for each class the constants' bytes, index first.
pub(crate) fn checkpoint(pools: &[(i64, Vec<Bytes>)]) -> Vec<u8> {
    let mut body = Bytes::default().numbers(&[0, 0, 0]).byte(0).number(pools.len() as i64);
    for (class, constants) in pools {
        body = body.numbers(&[*class, constants.len() as i64]);
        for constant in constants {
            body = body.then(&constant.0);
        }
    }
    event(1, &body)
}

/// The event that describes classes.
pub(crate) fn metadata(classes: &[Class<'_>]) -> Vec<u8> {
    let mut strings: Vec<String> = Vec::new();
    let mut of = |text: &str| {
        let known = strings.iter().position(|string| string == text);
        known.unwrap_or_else(|| {
            strings.push(text.to_owned());
            strings.len() - 1
        }) as i64
    };
    let mut tree = Bytes::default().numbers(&[of("root"), 0, 1, of("metadata"), 0, classes.len() as i64]);
    for (id, name, fields) in classes {
        tree = tree.numbers(&[of("class"), 2, of("id"), of(&id.to_string()), of("name"), of(name)]);
        tree = tree.number(fields.len() as i64);
        for (name, class, form) in *fields {
            let (constant, list) = (*form == Form::Constant, *form == Form::List);
            tree = tree.numbers(&[
                of("field"),
                4,
                of("name"),
                of(name),
                of("class"),
                of(&class.to_string()),
            ]);
            tree = tree.numbers(&[of("constantPool"), of(if constant { "true" } else { "false" })]);
            tree = tree.numbers(&[of("dimension"), of(if list { "1" } else { "0" }), 0]);
        }
    }
    let mut body = Bytes::default().numbers(&[0, 0, 1, strings.len() as i64]);
    for string in &strings {
        body = body.text(string);
    }
    event(0, &body.then(&tree.0))
}

/// A chunk of a description and events.
pub(crate) fn chunk(metadata: &[u8], events: &[Vec<u8>]) -> Vec<u8> {
    let body = [metadata, &events.concat()].concat();
    let mut bytes = b"FLR\0\0\x02\0\x01".to_vec();
    // Size, constants, description, start, duration, start in ticks, ticks a second.
    for number in [
        68 + body.len() as i64,
        68,
        68,
        1_700_000_000_000_000_000,
        2_000_000_000,
        0,
        1_000_000,
    ] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&1_i32.to_be_bytes());
    [bytes, body].concat()
}

/// Constants: two methods, a thread, and the stack `Hot.main` → `Hot.burn` at index 9.
pub(crate) fn constants() -> Vec<u8> {
    let of = |index: i64| Bytes::default().number(index);
    checkpoint(&[
        (TRACE, vec![of(9).byte(0).numbers(&[2, 6, 11, 5, 22])]),
        (METHOD, vec![of(5).numbers(&[3, 1, 4]), of(6).numbers(&[3, 2, 4])]),
        (CLASS, vec![of(3).number(7), of(8).number(10)]),
        (
            SYMBOL,
            vec![
                of(1).text("main"),
                of(2).text("burn"),
                of(4).text("()V"),
                of(7).byte(2).number(70),
                of(10).text("[B"),
            ],
        ),
        (STRING, vec![of(70).text("app/Hot")]),
        (THREAD, vec![of(1).text("java").text("main")]),
    ])
}

/// A whole small recording: two execution samples and one more of another thread, an allocation, a wait, a period.
pub(crate) fn recording() -> Vec<u8> {
    let events = [
        event(SAMPLE, &Bytes::default().numbers(&[0, 1, 9])),
        event(SETTING, &Bytes::default().number(SAMPLE).text("period").text("20 ms")),
        event(SAMPLE, &Bytes::default().numbers(&[0, 1, 9])),
        event(SAMPLE, &Bytes::default().numbers(&[0, 0, 0])),
        event(ALLOCATION, &Bytes::default().numbers(&[1, 9, 8, 4096])),
        event(MONITOR, &Bytes::default().numbers(&[1500, 1, 9, 3])),
        constants(),
    ];
    chunk(&metadata(CLASSES), &events)
}

/// A recording of the time that threads had, as JDK 25 writes it: 4 and 8 ms of one stack, 4 ms without a stack, and a
/// sample that a thread was seen running.
pub(crate) fn recording_of_cpu_time() -> Vec<u8> {
    let of = |trace: i64, failed: u8, ticks: i64| Bytes::default().numbers(&[trace, 1]).byte(failed).number(ticks);
    let events = [
        event(SAMPLE, &Bytes::default().numbers(&[0, 1, 9])),
        event(CPU_TIME, &of(9, 0, 4_000)),
        event(CPU_TIME, &of(0, 1, 4_000)),
        event(CPU_TIME, &of(9, 0, 8_000)),
        constants(),
    ];
    chunk(&metadata(CLASSES), &events)
}
