//! Writes the seeds of each fuzz target into a folder of its name: `fuzz_seeds FOLDER`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what cannot be written ends this program"
)]

use std::fs;
use std::path::PathBuf;

#[path = "../tests/oracle/corpus.rs"]
mod corpus;
#[path = "../tests/replay/grown.rs"]
mod grown;
#[path = "../tests/replay/properties.rs"]
mod properties;
#[path = "../tests/import/recording.rs"]
mod recording;
#[path = "../tests/replay/seeds.rs"]
mod seeds;

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).unwrap());
    let profiles = seeds::profiles();
    let targets = properties::PROPERTIES.iter().map(|(property, _)| *property);
    for property in targets.chain([seeds::ORACLE]) {
        let into = folder.join(property);
        fs::create_dir_all(&into).unwrap();
        let seeds = seeds::seeds(property, &profiles);
        for (index, seed) in seeds.iter().chain(&seeds::found(property)).enumerate() {
            fs::write(into.join(format!("seed-{index}")), seed).unwrap();
        }
    }
}
