//! Gathers what was written: the settings file, then the environment, then the flags. The only
//! place that reads environment variables.

use super::raw::{Fault, Raw, SETTINGS, Source, find};
use std::path::{Path, PathBuf};

/// The file that is read where none is named, if it is there.
pub const DEFAULT_FILE: &str = "claviger.toml";

/// The variable that names the settings file.
pub const FILE_VARIABLE: &str = "CLAVIGER_CONFIG";

/// The variable with the passphrase of backups, which is no setting.
pub const PASSPHRASE_VARIABLE: &str = "CLAVIGER_BACKUP_PASSPHRASE";

const PREFIX: &str = "CLAVIGER_";

/// What was written, and what is wrong with the writing.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The values.
    pub raw: Raw,
    /// The settings file that was read.
    pub file: Option<PathBuf>,
    /// Errors: the server would not start.
    pub faults: Vec<Fault>,
    /// Things that have no effect and may be mistakes.
    pub warnings: Vec<Fault>,
}

/// The process's environment.
#[allow(clippy::disallowed_methods)]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

/// The standard variables of OpenTelemetry.
#[allow(clippy::disallowed_methods)]
pub fn telemetry() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with("OTEL_"))
        .collect()
}

/// Where the statements of this process shall be noted, in builds for tests.
#[cfg(debug_assertions)]
#[allow(clippy::disallowed_methods)]
pub fn statement_notes() -> Option<std::fs::File> {
    let path = std::env::var_os("NOTE_STATEMENTS")?;
    std::fs::File::options().append(true).create(true).open(path).ok()
}

/// Gathers all settings. `flags` are keys with their values; `file` is what `--config` named.
pub fn load(file: Option<&Path>, environment: &[(String, String)], flags: &[(&str, String)]) -> Loaded {
    let mut loaded = Loaded::default();
    let named =
        environment.iter().find(|(name, _)| name == FILE_VARIABLE).map(|(_, path)| PathBuf::from(path));
    match file.map(Path::to_path_buf).or(named) {
        Some(path) => read_file(&mut loaded, path, true),
        None => read_file(&mut loaded, PathBuf::from(DEFAULT_FILE), false),
    }
    read_environment(&mut loaded, environment);
    for (key, value) in flags {
        if let Some(setting) = find(key) {
            loaded.raw.set(setting, value, Source::Flag);
        }
    }
    loaded
}

fn read_environment(loaded: &mut Loaded, environment: &[(String, String)]) {
    let no_settings = [FILE_VARIABLE, PASSPHRASE_VARIABLE];
    for (name, value) in environment.iter().filter(|(name, _)| !no_settings.contains(&name.as_str())) {
        match SETTINGS.iter().find(|setting| setting.variable() == *name) {
            Some(setting) => loaded.raw.set(setting, value, Source::Environment),
            // Not an error: Kubernetes makes such variables for a service named `claviger`.
            None => loaded.warnings.push(Fault {
                place: name.clone(),
                what: "there is no such setting, so it has no effect".into(),
                mend: suggestion(&name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase()),
            }),
        }
    }
}

fn read_file(loaded: &mut Loaded, path: PathBuf, must_exist: bool) {
    let place = path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => return,
        Err(error) => {
            let mend = "Name a readable file with --config or CLAVIGER_CONFIG".into();
            return loaded.faults.push(Fault { place, what: format!("it cannot be read ({error})"), mend });
        }
    };
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            // Not the line itself: it may hold a secret.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let place = format!("{place}, line {}", before.lines().count().max(1));
            let what = format!("it is not TOML ({})", error.message().replace('\n', ", "));
            return loaded.faults.push(Fault { place, what, mend: "Mend that line".into() });
        }
    };
    for (key, value) in &table {
        match (find(key), plain_text(value)) {
            (Some(setting), Some(text)) => loaded.raw.set(setting, &text, Source::File(path.clone())),
            (Some(_), None) => loaded.faults.push(Fault {
                place: format!("{key} in {place}"),
                what: "it is neither text, a number, true or false, nor a list of texts".into(),
                mend: "Write it as in `claviger config show`".into(),
            }),
            (None, _) => loaded.faults.push(Fault {
                place: format!("{key} in {place}"),
                what: "there is no such setting".into(),
                mend: suggestion(key),
            }),
        }
    }
    loaded.file = Some(path);
}

fn plain_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

fn suggestion(key: &str) -> String {
    let nearest = SETTINGS.iter().map(|s| (strsim::damerau_levenshtein(s.key, key), s.key)).min();
    match nearest {
        Some((distance, name)) if distance <= 3 => format!("Did you mean `{name}`?"),
        _ => "`claviger config show` lists all settings".into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn variable(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file =
            file("listen = 'from-file'\nissuer = 'from-file'\nrsa_bits = 3072\ncors_origins = ['a', 'b']\n");
        let environment = [variable("CLAVIGER_LISTEN", "from-env"), variable("CLAVIGER_ISSUER", "from-env")];
        let loaded = load(Some(file.path()), &environment, &[("listen", "from-flag".into())]);
        assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
        let of = |key| loaded.raw.get(key).unwrap();
        assert_eq!((of("listen"), of("issuer"), of("rsa_bits")), ("from-flag", "from-env", "3072"));
        assert_eq!(of("cors_origins"), "a,b");
        assert_eq!(loaded.raw.source("listen"), Source::Flag);
        assert_eq!(loaded.raw.source("data_dir"), Source::Default);
    }

    #[test]
    fn unknown_names_are_pointed_out() {
        let file = file("lisen = 'x'\n");
        let loaded = load(Some(file.path()), &[variable("CLAVIGER_PORT", "tcp://10.0.0.1")], &[]);
        assert!(loaded.faults.first().unwrap().to_string().contains("Did you mean `listen`?"));
        assert_eq!(loaded.warnings.first().unwrap().place, "CLAVIGER_PORT");
    }

    #[test]
    fn a_named_file_must_be_there_and_be_toml() {
        assert_eq!(load(Some(Path::new("/nowhere/x.toml")), &[], &[]).faults.len(), 1);
        let secret = file("dev = true\nmaster_key = AAAABBBBCCCC\n");
        let fault = load(Some(secret.path()), &[], &[]).faults.first().unwrap().to_string();
        assert!(fault.contains("line 2") && !fault.contains("AAAA"), "{fault}");
        let broken = file("listen = \n");
        assert!(load(Some(broken.path()), &[], &[]).faults.first().unwrap().what.contains("not TOML"));
        let named = [variable(FILE_VARIABLE, broken.path().to_str().unwrap())];
        assert_eq!(load(None, &named, &[]).faults.len(), 1);
    }
}
