//! Runs the body of a target over files, on stable Rust: `replay TARGET FILE...`. A folder stands for
//! the files in it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use keystead_fuzz::TARGETS;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    let (_, check) = target.ok_or_else(|| io::Error::other("usage: replay TARGET FILE..."))?;
    let mut ran = 0;
    for path in arguments.map(PathBuf::from) {
        for file in files(&path)? {
            println!("{}", file.display());
            check(&fs::read(&file)?);
            ran += 1;
        }
    }
    println!("{ran} inputs, nothing broke");
    Ok(())
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
}
