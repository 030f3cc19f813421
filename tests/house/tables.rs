//! The tables of `tests/README.md` list every test file in its area, and nothing that does not exist; no test file lies
//! where it would be linked by itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders under `tests` that are no test binary: data, and what the binaries share.
const NO_AREA: [&str; 3] = ["data", "dialogues", "support"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("the entry can be read").file_name().into_string().expect("UTF-8")
    };
    let mut names: Vec<_> = fs::read_dir(folder).expect("the folder can be read").map(name).collect();
    names.sort();
    names
}

/// The areas: folders of tests, each one binary.
fn areas() -> Vec<String> {
    let is_area = |name: &String| root().join(name).is_dir() && !NO_AREA.contains(&name.as_str());
    names(&root()).into_iter().filter(is_area).collect()
}

/// Files of an area as its table names them, `main.rs` and the helpers of real peers apart.
fn modules(area: &str, below: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in names(&root().join(area).join(below)) {
        let path = format!("{below}{name}");
        if root().join(area).join(&path).is_dir() {
            if path != "peer" && path != "__pycache__" {
                all.extend(modules(area, &format!("{path}/")));
            }
        } else if name.ends_with(".rs") && path != "main.rs" {
            all.insert(path);
        }
    }
    all
}

/// The Rust files in the first column of the table under this heading.
fn listed(readme: &str, area: &str) -> BTreeSet<String> {
    let heading = format!("\n## {area}\n");
    let section = readme.split(&heading).nth(1).unwrap_or_else(|| panic!("tests/README.md has no section \"{area}\""));
    let section = section.split("\n## ").next().unwrap_or_default();
    let first = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    first.flat_map(|cell| cell.split('`')).filter(|name| name.ends_with(".rs")).map(str::to_owned).collect()
}

#[test]
fn the_readme_lists_every_test_file() {
    let readme = fs::read_to_string(root().join("README.md")).expect("tests/README.md");
    let areas = areas();
    assert!(areas.len() >= 8, "the areas are found: {areas:?}");
    for area in areas {
        let (there, listed) = (modules(&area, ""), listed(&readme, &area));
        assert!(!there.is_empty(), "{area} has files");
        let unlisted: Vec<_> = there.difference(&listed).collect();
        let missing: Vec<_> = listed.difference(&there).collect();
        assert!(unlisted.is_empty(), "not in the table of {area} in tests/README.md: {unlisted:?}");
        assert!(missing.is_empty(), "in the table of {area} in tests/README.md, but not there: {missing:?}");
    }
}

#[test]
fn every_module_is_compiled() {
    for area in areas() {
        let main = fs::read_to_string(root().join(&area).join("main.rs"));
        let main =
            main.unwrap_or_else(|_| panic!("tests/{area} has no main.rs: is it an area, or one of {NO_AREA:?}?"));
        for module in modules(&area, "").iter().filter(|path| !path.contains('/')) {
            let line = format!("mod {};", module.trim_end_matches(".rs"));
            assert!(main.lines().any(|known| known == line), "tests/{area}/main.rs lacks `{line}`");
        }
    }
}

#[test]
fn no_test_file_is_a_binary_of_its_own() {
    let lone: Vec<_> = names(&root()).into_iter().filter(|name| name.ends_with(".rs")).collect();
    assert!(lone.is_empty(), "each would be linked by itself; move them into a folder: {lone:?}");
}

#[test]
fn the_readme_names_what_is_shared() {
    let readme = fs::read_to_string(root().join("README.md")).expect("tests/README.md");
    let shared = readme.split("\n## Shared\n").nth(1).expect("a section \"Shared\"");
    for name in names(&root().join("support")) {
        assert!(shared.contains(&format!("`{name}/`")), "tests/README.md does not name support/{name}");
    }
}
