//! Writes the seeds and the dictionary of every target into a folder: `seeds FOLDER`.

use std::path::PathBuf;
use std::{env, fs, io};

use keystead_fuzz::{TARGETS, dictionary, seeds};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("usage: seeds FOLDER"))?;
    for (target, _) in TARGETS {
        let own = folder.join(target);
        fs::create_dir_all(&own)?;
        let seeds = seeds::of(target);
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(own.join(format!("{number:05}")), seed)?;
        }
        fs::write(folder.join(format!("{target}.dict")), dictionary::of(target))?;
        println!("{target}: {} seeds", seeds.len());
    }
    Ok(())
}
