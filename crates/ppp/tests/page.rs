//! `docs/ppp.md` names code and tests that exist.

use std::fs;
use std::path::Path;

#[test]
fn every_file_and_test_of_the_page_exists() {
    let krate = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = krate.join("../..");
    let page = fs::read_to_string(project.join("docs/ppp.md")).unwrap();
    // Every second piece stands between backticks.
    let names: Vec<_> = page.split('`').skip(1).step_by(2).filter(|name| name.contains('/')).collect();
    assert!(names.len() > 70, "{}", names.len());
    for name in names {
        let (file, test) = name.split_once("::").unwrap_or((name, ""));
        let root = if file.starts_with("crates/") || file.starts_with("fuzz/") { &*project } else { krate };
        let path = root.join(file);
        assert!(path.exists(), "{name}");
        if !test.is_empty() {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(&format!("fn {test}()")), "{name}");
        }
    }
}
