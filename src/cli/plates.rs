//! The files that a run reads: from the command line, else from `screen.toml`.

use crate::config::ScreenFile;
use crate::config::choice::nearest;
use crate::config::mapping::glob;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Sorts what was typed into the one `screen.toml` (read) and plate files; plates typed replace those of the file.
///
/// # Errors
/// [`Error::Screen`] for two `.toml` files, or no plates; [`Error::File`] for a folder that cannot be listed.
pub fn inputs(typed: Vec<PathBuf>) -> Result<(ScreenFile, Vec<PathBuf>)> {
    let (tomls, plates): (Vec<PathBuf>, Vec<PathBuf>) =
        typed.into_iter().partition(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")));
    let file = match &tomls[..] {
        [] => ScreenFile::default(),
        [one] => ScreenFile::read(one)?,
        [one, two, ..] => {
            return Err(Error::Screen {
                problem: format!("two screen files: `{}` and `{}`", one.display(), two.display()),
                hint: Some("run them one after the other".into()),
            });
        }
    };
    if !plates.is_empty() {
        return Ok((file, plates));
    }
    let mut found = Vec::new();
    for pattern in &file.plates.0 {
        found.extend(expand(pattern)?);
    }
    if found.is_empty() {
        return Err(Error::Screen {
            problem: "no plate files".into(),
            hint: Some("name them behind the screen file, or in it: plates = [\"plates/*.parquet\"]".into()),
        });
    }
    Ok((file, found))
}

/// The files that a path with `*` and `?` in its last part stands for, by name; a plain path stands for itself.
fn expand(pattern: &str) -> Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let is_glob = |text: &str| text.contains(['*', '?']);
    if !is_glob(pattern) {
        return Ok(vec![path.to_owned()]);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if is_glob(&folder.to_string_lossy()) {
        return Err(Error::Setting {
            key: "plates".into(),
            problem: format!("`{pattern}` has a `*` or `?` in the name of a folder"),
            hint: Some("only file names may have them: name each folder".into()),
        });
    }
    let unreadable = |source| Error::File { action: "read", path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    // The order of a folder is the file system's whim.
    names.sort_unstable();
    let found: Vec<PathBuf> = names.iter().filter(|n| glob(&name, n)).map(|n| path.with_file_name(n)).collect();
    if found.is_empty() {
        return Err(Error::Setting {
            key: "plates".into(),
            problem: format!("no file is named like `{pattern}`"),
            hint: nearest(&name, names.iter().map(String::as_str)).map(|near| format!("there is `{near}`")),
        });
    }
    Ok(found)
}
