//! How the doctor was called, so that the commands it prints find the same installation with the same settings.

use std::path::PathBuf;

/// What the commands that mend something need to know of the doctor's own call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The flags of settings that it was given, in the order in which they are printed.
    pub flags: Vec<Flag>,
    /// Whether a command, given by its words, takes a flag.
    pub takes: fn(&[&str], &str) -> bool,
    /// The settings file that was read.
    pub file: Option<PathBuf>,
}

/// A flag.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Without the dashes.
    pub name: String,
    /// How a shell takes its value, if it has one.
    pub value: Option<String>,
}

impl Call {
    /// A command of this program, with those flags of the call that it takes and `words` do not set otherwise, but
    /// for the one that is named.
    pub(super) fn command(&self, words: &str, without: &str) -> String {
        let given: Vec<&str> = words.split(' ').collect();
        let is_wanted = |flag: &&Flag| {
            let is_given = given.iter().any(|word| word.strip_prefix("--") == Some(flag.name.as_str()));
            !is_given && flag.name != without && (self.takes)(&given, &flag.name)
        };
        let flags = self.flags.iter().filter(is_wanted).map(|Flag { name, value }| match value {
            Some(value) => format!(" --{name} {value}"),
            None => format!(" --{name}"),
        });
        format!("claviger {words}{}", flags.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(name: &str, value: Option<&str>) -> Flag {
        Flag { name: name.into(), value: value.map(Into::into) }
    }

    #[test]
    fn a_command_has_each_flag_that_it_takes_once() {
        let flags = vec![
            flag("data-dir", Some("/x")),
            flag("dev", None),
            flag("issuer", Some("https://a.example")),
            flag("limits", Some("false")),
        ];
        let takes = |words: &[&str], flag: &str| words.starts_with(&["serve"]) || flag == "data-dir";
        let call = Call { flags, takes, file: None };
        for (words, without, command) in [
            ("serve", "", "claviger serve --data-dir /x --dev --issuer https://a.example --limits false"),
            (
                "serve --limits true",
                "dev",
                "claviger serve --limits true --data-dir /x --issuer https://a.example",
            ),
            ("key list", "", "claviger key list --data-dir /x"),
        ] {
            assert_eq!(call.command(words, without), command);
        }
    }
}
