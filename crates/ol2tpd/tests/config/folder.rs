//! A folder of a test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ol2tpd::config::{Loaded, Problems, Settings};

/// Goes with its files when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Named after the test.
    pub(crate) fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("config-{test}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file with these permissions.
    pub(crate) fn write(&self, name: &str, mode: u32, text: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Loads `ol2tp.toml` with this text.
    pub(crate) fn load(&self, text: &str) -> Result<Loaded, Problems> {
        self.write("ol2tp.toml", 0o600, text);
        Settings::load(&self.0.join("ol2tp.toml"))
    }

    /// What is told of such a file, a line each, without the folder.
    pub(crate) fn told(&self, text: &str) -> Vec<String> {
        let problems = self.load(text).map_or_else(|problems| problems, |loaded| loaded.warnings);
        let folder = format!("{}/", self.0.display());
        problems.0.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
