//! Valid profiles out of any bytes: what a fuzzer changes in them changes a profile, and never only whether it is one.

/// Strings that mean something somewhere: to views, to patterns, to merges. The first is the empty one.
const STRINGS: [&str; 16] = [
    "",
    "cpu",
    "nanoseconds",
    "space",
    "bytes",
    "main",
    "work",
    "malloc(int)",
    "/bin/a",
    "b.go",
    "pprof::base",
    "true",
    "malloc|w.*",
    "m.*",
    "(",
    "main",
];

/// Mappings, functions and locations: few, so that samples meet.
const MAPPINGS_MAX: u64 = 3;
const FUNCTIONS_MAX: u64 = 5;
const LOCATIONS_MAX: u64 = 7;
const SAMPLES_MAX: u64 = 12;

/// The bytes as numbers; zeros when they are used up.
struct Dice<'b> {
    bytes: &'b [u8],
}

impl Dice<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *first
    }

    fn below(&mut self, end: u64) -> u64 {
        u64::from(self.byte()) % end
    }

    fn string(&mut self) -> u64 {
        self.below(STRINGS.len() as u64)
    }

    /// Mostly small, of either sign; sometimes as large as can be.
    fn value(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            byte => i64::from(byte.cast_signed()).cast_unsigned(),
        }
    }
}

/// Two profiles. The second has the same types as the first unless the dice say otherwise.
pub(crate) fn two(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut dice = Dice { bytes };
    let types: Vec<_> = (0..=dice.below(2)).map(|_| (dice.string(), dice.string())).collect();
    let period_type = (dice.string(), dice.string());
    let first = one(&mut dice, &types, period_type);
    let second = if dice.below(8) == 7 {
        one(&mut dice, &[(1, 2)], period_type)
    } else {
        one(&mut dice, &types, period_type)
    };
    (first, second)
}

fn one(dice: &mut Dice<'_>, types: &[(u64, u64)], period_type: (u64, u64)) -> Vec<u8> {
    let value_type = |field, (kind, unit)| message(field, &[number(1, kind), number(2, unit)]);
    let mut out: Vec<Vec<u8>> = types.iter().map(|of| value_type(1, *of)).collect();
    let (mappings, functions, locations) = (
        dice.below(MAPPINGS_MAX + 1),
        1 + dice.below(FUNCTIONS_MAX),
        1 + dice.below(LOCATIONS_MAX),
    );
    for id in 1..=mappings {
        let start = dice.below(4) << 12;
        let flags = dice.byte();
        out.push(message(
            3,
            &[
                number(1, id),
                number(2, start),
                number(3, start + (1 << 12)),
                number(4, dice.below(2) << 12),
                number(5, dice.string()),
                number(6, dice.string()),
                number(7, u64::from(flags & 1)),
                number(8, u64::from(flags >> 1 & 1)),
                number(9, u64::from(flags >> 2 & 1)),
                number(10, u64::from(flags >> 3 & 1)),
            ],
        ));
    }
    // Ids in no order: the dice choose where they begin and how far they are apart.
    let (first, apart) = (dice.below(1 << 7), 1 + dice.below(3));
    let location_id = |index: u64| 1 + (first + index * apart) % (1 << 7);
    for index in 0..locations {
        let mut fields = vec![
            number(1, location_id(index)),
            number(2, dice.below(mappings + 1)),
            number(3, dice.below(1 << 14)),
            number(5, dice.below(2)),
        ];
        for _ in 0..dice.below(4) {
            let line = [
                number(1, 1 + dice.below(functions)),
                number(2, dice.below(3)),
                number(3, dice.below(3)),
            ];
            fields.push(message(4, &line));
        }
        out.push(message(4, &fields));
    }
    for id in 1..=functions {
        let names = [2, 3, 4].map(|field| number(field, dice.string())).concat();
        out.push(message(5, &[number(1, id), names, number(5, dice.below(3))]));
    }
    for _ in 0..dice.below(SAMPLES_MAX) {
        let mut fields: Vec<_> = (0..dice.below(6))
            .map(|_| number(1, location_id(dice.below(locations))))
            .collect();
        fields.extend(types.iter().map(|_| number(2, dice.value())));
        for _ in 0..dice.below(4) {
            fields.push(label(dice));
        }
        out.push(message(2, &fields));
    }
    out.extend(STRINGS.iter().map(|string| bytes(6, string.as_bytes())));
    out.push(value_type(11, period_type));
    let numbers = [9, 10, 12].map(|field| number(field, dice.value() >> 1));
    let texts = [7, 8, 13, 13, 14, 15].map(|field| number(field, dice.string()));
    out.extend(numbers);
    out.extend(texts);
    out.concat()
}

fn label(dice: &mut Dice<'_>) -> Vec<u8> {
    let key = number(1, dice.string());
    let what = match dice.below(3) {
        0 => number(2, dice.string()),
        1 => number(3, dice.value()),
        _ => [number(3, dice.value()), number(4, dice.string())].concat(),
    };
    message(3, &[key, what])
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3, &mut out);
    varint(value, &mut out);
    out
}

fn bytes(field: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3 | 2, &mut out);
    varint(body.len() as u64, &mut out);
    out.extend_from_slice(body);
    out
}

fn message(field: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    bytes(field, &fields.concat())
}
