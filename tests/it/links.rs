//! What the documentation points at is there: files, headings, commands, flags, settings, variables.

use clap::Command;
use claviger::config::raw::{SETTINGS, Setting, find};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A page, as far as it can be checked.
#[derive(Default)]
struct Page {
    text: String,
    links: Vec<String>,
    /// The anchors of its headings.
    anchors: BTreeSet<String>,
    /// Code blocks, each with its language.
    blocks: Vec<(String, String)>,
    /// Code within lines.
    inline: Vec<String>,
    titles: usize,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages, by their paths from the root.
fn pages() -> BTreeMap<PathBuf, Page> {
    let mut waiting = vec![root().to_path_buf(), root().join("docs"), root().join("contrib")];
    let mut pages = BTreeMap::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && folder != root() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).unwrap();
                pages.insert(path.strip_prefix(root()).unwrap().to_path_buf(), page(text));
            }
        }
    }
    assert!(pages.len() > 10);
    pages
}

fn page(text: String) -> Page {
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    let mut block: Option<(String, String)> = None;
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { level, .. }) => {
                page.titles += usize::from(level == HeadingLevel::H1);
                heading = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading.take().unwrap());
                let twice = (1..).map(|number| format!("{anchor}-{number}"));
                let free = std::iter::once(anchor.clone()).chain(twice).find(|a| !page.anchors.contains(a));
                page.anchors.insert(free.unwrap());
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => {
                        language.split([' ', ',']).next().unwrap_or_default().to_owned()
                    }
                    CodeBlockKind::Indented => String::new(),
                };
                block = Some((language, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
            Event::Text(text) | Event::Code(text) if heading.is_some() => {
                heading.as_mut().unwrap().push_str(&text);
            }
            Event::Text(text) => {
                if let Some((_, code)) = &mut block {
                    code.push_str(&text);
                }
            }
            Event::Code(code) => page.inline.push(code.into_string()),
            _ => {}
        }
    }
    Page { text, ..page }
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
        plain
    })
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    for (path, page) in &pages {
        for link in page.links.iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { path.clone() } else { plain(&path.parent().unwrap().join(file)) };
            let is_book = path.starts_with("docs");
            let has_anchor = || pages.get(&target).is_some_and(|page| page.anchors.contains(anchor));
            if !root().join(&target).is_file() {
                wrong.push(format!("{}: {link}: there is no such file", path.display()));
            } else if !anchor.is_empty() && !has_anchor() {
                wrong.push(format!("{}: {link}: there is no such heading", path.display()));
            } else if is_book && !target.starts_with("docs") {
                wrong.push(format!("{}: {link}: it leads out of the book", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_summary_lists_every_page_once() {
    let pages = pages();
    let summary = &pages[Path::new("docs/SUMMARY.md")];
    let listed: Vec<PathBuf> = summary.links.iter().map(|link| Path::new("docs").join(link)).collect();
    let there: BTreeSet<&PathBuf> =
        pages.keys().filter(|path| path.starts_with("docs") && !path.ends_with("SUMMARY.md")).collect();
    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), there);
    assert_eq!(listed.len(), there.len(), "one is listed twice");
    for path in there {
        assert_eq!(pages[path].titles, 1, "{} has one title", path.display());
    }
}

#[test]
fn commands_and_settings_that_are_named_exist() {
    let sources = sources();
    let mut wrong = Vec::new();
    for (path, page) in pages() {
        let mut faults: Vec<String> =
            page.blocks.iter().flat_map(|(language, code)| of_block(language, code)).collect();
        faults
            .extend(page.inline.iter().filter(|code| code.contains(' ')).filter_map(|code| of_command(code)));
        faults.extend(page.inline.iter().filter_map(|code| of_path(code)));
        faults.extend(
            variables(&page.text)
                .filter(|name| !is_known(name, &sources))
                .map(|name| format!("there is no variable {name}")),
        );
        wrong.extend(faults.into_iter().map(|fault| format!("{}: {fault}", path.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_check_itself_sees_faults() {
    for bad in [
        "$ claviger usr list",
        "$ claviger user list --lmit 3",
        "$ sudo claviger key revoke --fast X | cat",
        "$ CLAVIGER_DEV=true claviger serve \\\n    --data-dri x",
        "$ cargo run --release -- serve --def",
        "$ true && /usr/local/bin/claviger frobnicate",
        "$ claviger",
    ] {
        assert_eq!(of_block("console", bad).len(), 1, "{bad}");
    }
    for good in [
        "$ claviger user list --limit=3 # claviger nonsense",
        "claviger nonsense is output",
        "$ claviger --version; claviger key revoke -kid",
        "$ claviger token inspect --dev $TOKEN > claviger",
        "$ docker run claviger --nonsense",
    ] {
        assert_eq!(of_block("console", good), Vec::<String>::new(), "{good}");
    }
    assert_eq!(of_block("toml", "listen = '1'\nlisten_to = 2\n").len(), 1);
    assert!(of_path("docs/nowhere.md").is_some() && of_path("docs/performance.md").is_none());
    assert_eq!(anchor("`DELETE /user/{id}` – now"), "delete-userid--now");
    let page = page("# A\n\n## B c\n\n## B c\n\n[x](y.md#z) ![p](q.svg)\n".into());
    assert_eq!(page.anchors, ["a", "b-c", "b-c-1"].map(String::from).into());
    assert_eq!(page.links, ["y.md#z", "q.svg"]);
    assert!(!is_known("CLAVIGER_LISTEM", "") && is_known("CLAVIGER_LISTEN", ""));
}

/// What is wrong in a code block.
fn of_block(language: &str, code: &str) -> Vec<String> {
    match language {
        "toml" if !code.lines().any(|line| line.starts_with('[')) => {
            let keys = code.lines().filter(|line| !line.starts_with([' ', '#', ']']));
            let keys = keys.filter_map(|line| line.split_once('=')).map(|(key, _)| key.trim());
            keys.filter(|key| find(key).is_none()).map(|key| format!("there is no setting {key}")).collect()
        }
        "sh" | "console" | "" => {
            let whole = code.replace("\\\n", " ");
            let lines = whole.lines().filter_map(|line| match line.trim().strip_prefix("$ ") {
                Some(command) => Some(command),
                None => (language != "console").then_some(line),
            });
            lines.flat_map(|line| line.split(['|', ';', '&', '(', ')'])).filter_map(of_command).collect()
        }
        _ => Vec::new(),
    }
}

/// What is wrong with a simple command, if it is one of ours.
fn of_command(line: &str) -> Option<String> {
    let words: Vec<&str> =
        line.split_whitespace().take_while(|word| !word.starts_with(['#', '>', '<'])).collect();
    let is_prefix = |word: &&&str| word.contains('=') && !word.starts_with('-') || **word == "sudo";
    let words = words.get(words.iter().take_while(is_prefix).count()..)?;
    let arguments = match words {
        [first, rest @ ..] if *first == "claviger" || first.ends_with("/claviger") => rest,
        ["cargo", "run", rest @ ..] => rest.split(|word| *word == "--").nth(1)?,
        _ => return None,
    };
    let mut command: Command = claviger::cli::command();
    let mut arguments =
        arguments.iter().map(|word| word.trim_matches(['\'', '"', '`', '.', ',', ':'])).peekable();
    // `claviger config check|show` names two.
    let first = |word: &&str| word.split('|').next().unwrap_or_default().to_owned();
    while let Some(sub) = arguments.peek().and_then(|word| command.find_subcommand(first(word))) {
        command = sub.clone();
        arguments.next();
    }
    // `claviger user …` speaks of all of them.
    let speaks_of_all =
        arguments.peek().is_none_or(|word| word.starts_with(['-', '…', '[']) || *word == "COMMAND");
    let is_bare = command.get_name() == "claviger" && arguments.peek().is_none();
    if is_bare || command.has_subcommands() && !speaks_of_all {
        return Some(format!("there is no such command: {}", line.trim()));
    }
    let has = |flag: &str| {
        let name = flag.split('=').next().unwrap_or_default();
        ["help", "version"].contains(&name) || command.get_arguments().any(|arg| arg.get_long() == Some(name))
    };
    let unknown = arguments
        .filter_map(|word| word.strip_prefix("--"))
        .find(|flag| flag.starts_with(|c: char| c.is_ascii_lowercase()) && !has(flag));
    unknown.map(|flag| format!("there is no flag --{flag}: {}", line.trim()))
}

/// What is wrong with a path of this repository.
fn of_path(code: &str) -> Option<String> {
    let folders = ["bench/", "contrib/", "crates/", "docs/", "fuzz/", "packaging/", "src/", "tests/"];
    let is_path =
        folders.iter().any(|folder| code.starts_with(folder)) && !code.contains([' ', '*', '{', '…']);
    (is_path && !root().join(code).exists()).then(|| format!("there is no {code}"))
}

/// The variables that a text names.
fn variables(text: &str) -> impl Iterator<Item = String> {
    let names = text.match_indices("CLAVIGER_").map(|(at, _)| {
        text[at..].chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').collect()
    });
    names.filter(|name: &String| name != "CLAVIGER_").collect::<Vec<_>>().into_iter()
}

fn is_known(name: &str, sources: &str) -> bool {
    SETTINGS.iter().any(|setting: &Setting| setting.variable() == name)
        || sources.contains(&format!("\"{name}\""))
}

/// All of the program and its tests, where variables that are no settings stand as texts.
fn sources() -> String {
    let mut waiting = vec![root().join("src"), root().join("tests/it/harness")];
    let mut text = String::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                text.push_str(&fs::read_to_string(path).unwrap_or_default());
            }
        }
    }
    text
}
