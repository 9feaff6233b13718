//! Puts the rules of the repository into the program, so that it works with nothing to download.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let rules = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../rules").canonicalize()?;
    for folder in ["opin", "security"] {
        println!("cargo::rerun-if-changed={}", rules.join(folder).display());
    }
    let mut code = String::new();
    for (name, folder, ending) in [
        ("CONTRACTS", "opin/contracts", "jsonl"),
        ("OVERLAYS", "opin/overlays", "yaml"),
        ("RULES", "opin/rules", "yaml"),
        ("DETECTIONS", "security", "yml"),
    ] {
        let mut paths = Vec::new();
        for entry in fs::read_dir(rules.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|found| found == ending) {
                paths.push(path);
            }
        }
        paths.sort();
        writeln!(code, "pub(super) static {name}: &[(&str, &str)] = &[")?;
        for path in paths {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            writeln!(code, "    ({file:?}, include_str!({:?})),", path.display().to_string())?;
        }
        writeln!(code, "];")?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("embedded_rules.rs"), code)?;
    Ok(())
}
