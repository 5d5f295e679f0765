//! Packages of other languages that tests run, fetched once for each content of the files that name them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::digest;
use tempfile::TempDir;

use super::signer::base64url;

/// The folder with the whole project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder under `target/tools` that holds these files and what `install` installs there.
///
/// # Panics
///
/// If `install` fails, as it does without its package registry.
pub fn installed(name: &str, sources: &Path, files: &[&str], install: impl Fn(&Path) -> Command) -> PathBuf {
    let content: Vec<u8> = files.iter().flat_map(|file| fs::read(sources.join(file)).unwrap()).collect();
    let digest = base64url(&digest::digest(&digest::SHA256, &content).as_ref()[..9]);
    let parent = project().join("target/tools");
    let folder = parent.join(format!("{name}-{digest}"));
    if !folder.exists() {
        fs::create_dir_all(&parent).unwrap();
        // A folder of its own and a rename at the end: two of these may run at once.
        let download = TempDir::new_in(&parent).unwrap();
        for file in files {
            fs::copy(sources.join(file), download.path().join(file)).unwrap();
        }
        let mut command = install(download.path());
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        if fs::rename(download.path(), &folder).is_ok() {
            let _ = download.keep();
        }
        assert!(folder.exists());
    }
    folder
}

/// What npm installs from its lock file, without running anything of the packages.
pub fn npm(folder: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    npm
}
