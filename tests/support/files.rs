//! Every file below a folder, for tests that read the tree or what a program wrote. Included where it is wanted.

use std::fs;
use std::path::{Path, PathBuf};

/// Every file below a folder, sorted.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect::<Vec<_>>();
    files.sort();
    files
}
