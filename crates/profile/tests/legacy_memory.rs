//! No file of a legacy format takes much more memory than its own size. A process of its own, because it is measured.
#![expect(clippy::unwrap_used, reason = "a test file: its functions are tests or their parts")]

use std::fs;

use profile::Limits;
use profile::parse::parse;

/// The most memory that this process has had since it last asked.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes << 10
}

#[test]
fn a_file_takes_a_few_times_its_size_in_memory() {
    const FILE_BYTES: usize = 4 << 20;
    // Sixteen times: a sample of a heap is eleven bytes at least, and two values, two places and a label here, once
    // as it was read and once in the profile.
    const PEAK_BYTES_MAX: u64 = 16 * FILE_BYTES as u64;
    let repeated = |head: &[u8], unit: &[u8]| {
        let mut file = head.to_vec();
        while file.len() < FILE_BYTES {
            file.extend_from_slice(unit);
        }
        file
    };
    let words: Vec<u8> = [1_u32, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let cpu: Vec<u8> = [0_u32, 3, 0, 100, 0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let heap = b"heap profile: 1: 1 [1: 1] @ heapprofile\n";
    let mapped = b"heap profile: 1: 1 [1: 1] @ heapprofile\nMAPPED_LIBRARIES:\n";
    let java = b"--- contentionz 1 ---\nformat=java\nresolution=bytes\n";
    let thread = b"--- Thread 1 (name: a/1) stack: ---\n";
    let files = [
        repeated(&cpu, &words),
        repeated(heap, b"1:1[1:1] @\n"),
        repeated(b"a profile: total 1\n", b"1 @ 0x1\n"),
        repeated(thread, b"0x1\n--- Thread 1 (name: a/1) stack: ---\n"),
        repeated(b"--- mutex:\n", b"1 1 @\n"),
        repeated(java, b"1 1 @ \n"),
        repeated(b"heap_v2/1\n@\n", b"t*:1:1[0:0]\n"),
        repeated(mapped, b"00\n"),
        repeated(mapped, b"=\n"),
        repeated(mapped, b"a\n"),
        vec![0; FILE_BYTES],
        repeated(b"#", b"\n#"),
    ];
    for (index, file) in files.iter().enumerate() {
        // Asked so, the kernel forgets the peak.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = peak_bytes();
        let read = parse(file, &Limits::DEFAULT).map(|parsed| parsed.profile.sample_count());
        let taken = peak_bytes() - before;
        println!("{index}: {} KiB, {read:?}", taken >> 10);
        assert!(taken <= PEAK_BYTES_MAX, "{index}: {} MiB", taken >> 20);
    }
}
